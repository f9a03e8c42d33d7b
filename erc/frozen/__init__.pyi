from .states import (
    Computation as Computation,
    FrozenStates as FrozenStates,
    Segments as Segments,
    StateKind as StateKind,
    find_states as find_states,
)
from .store import StateStore as StateStore
