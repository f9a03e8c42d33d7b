from .corpora import write as write
from .layout import choose_sessions as choose_sessions
