from .commands import (
    crema_d as crema_d,
    emodb as emodb,
    iemocap as iemocap,
    meld as meld,
    msp_podcast as msp_podcast,
    ravdess as ravdess,
)
