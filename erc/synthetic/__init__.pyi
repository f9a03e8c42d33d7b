from .corpora import write as write
from .examples import write_examples as write_examples
from .layout import choose_sessions as choose_sessions
