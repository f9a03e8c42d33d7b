"""Latent emotion -> a transcript in Korean, with the transcribers' tags."""

from __future__ import annotations

import numpy as np

from erc.data import EMOTIONS, KEMDY19, Corpus
from erc.synthetic.layout import Segment

_CLAUSES = {
    "neutral": "오늘 저녁에 회의가 있어|그건 책상 위에 두면 돼|내일 3시에 만나기로 했어|버스를 타고 왔어"
    "|점심은 먹었어?|지금 집에 가는 길이야|주말에는 보통 집에 있어|2번 출구로 나오면 돼|그 이야기는 들었어"
    "|전화번호를 알려 줘|창문 좀 닫아 줄래?|다음 주에 다시 올게|그 사람은 회사에 다녀|서류는 여기 있어요",
    "surprise": "헐, 진짜야?|깜짝이야|어머, 말도 안 돼|뭐라고? 언제?|세상에, 이게 뭐야?|갑자기 왜 여기 있어?",
    "fear": "너무 무서워|어떡해, 누가 따라와|살려 주세요|겁이 나서 못 가겠어|손이 막 떨려|큰일 났어, 도망가자",
    "angry": "진짜 짜증 나|왜 자꾸 거짓말해?|당장 나가|너 때문에 화가 나|이게 말이 돼?|그만 좀 해",
    "happy": "정말 행복해|너무 좋다|완전 신난다|합격했어, 고마워|진짜 재밌었어|선물 받아서 기뻐",
    "sad": "너무 슬퍼|눈물이 나|보고 싶어서 힘들어|혼자 남아서 외로워|마음이 너무 아파|이제 다 끝났어, 미안해",
    "disgust": "으, 더러워|냄새가 너무 역겨워|징그러워 죽겠어|토할 것 같아|보기도 싫어|저 벌레 좀 치워",
}
CLAUSES = {emotion: tuple(clauses.split("|")) for emotion, clauses in _CLAUSES.items()}
"""Clauses that carry each emotion."""

TAGS = {"kemdy19": ("b/", "o/", "b/ o/", "n/", "u/"), "kemdy20": ("n/", "l/", "b/", "N/", "c/")}

OVERLAPS = ("(응)", "(아니잖아+그럼)", "(근데+u/)", "(그래+어/)")

ONLY_NEUTRAL_WORDS = 0.3
"""Share of segments whose words are all neutral."""

ONLY_TAGS = 0.01
"""Share of KEMDy19's segments that have no words."""


def transcript(corpus: Corpus, segment: Segment, rng: np.random.Generator) -> str:
    """One line that ends with a newline: clauses of the segment's emotion among neutral ones, with tags and overlaps."""
    if corpus is KEMDY19 and rng.random() < ONLY_TAGS:
        return "b/ o/\n"
    n_clauses = 1 + min(7, int((segment.end - segment.start) / 1.5))
    emotional = CLAUSES["neutral" if rng.random() < ONLY_NEUTRAL_WORDS else EMOTIONS[segment.emotion]]
    words = [str(rng.choice(emotional if rng.random() < 0.6 else CLAUSES["neutral"])) for _ in range(n_clauses)]
    words[rng.integers(n_clauses)] = str(rng.choice(emotional))
    words = [clause if clause.endswith("?") else clause + "." for clause in words]
    for share, extra in ((0.35, TAGS[corpus.name]), (0.35, TAGS[corpus.name]), (0.1, OVERLAPS)):
        if rng.random() < share:
            words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(extra)))
    return " ".join(words) + (" \n" if corpus is KEMDY19 and rng.random() < 0.3 else "\n")
