from .commands import corpus as corpus, environment as environment
from .diagnosis import diagnose_corpus as diagnose_corpus, diagnose_environment as diagnose_environment
from .findings import Finding as Finding
