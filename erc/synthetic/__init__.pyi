from .corpora import write as write
