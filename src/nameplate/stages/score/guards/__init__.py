"""What a model could do before it learned names, and whether it still can: other columns, detail, no name at all.

guards = GuardRound(section.guards, run=run, matcher=matcher, headline=..., detail=..., detailed=images)
answers = {name: guards.ask(examinee.replies, advance) for each model, the base among them}
scores = conclude(answers, base="base")
"""

from nameplate.stages.score.guards.comparing import conclude
from nameplate.stages.score.guards.round import GuardAnswers, GuardRound

__all__ = ["GuardAnswers", "GuardRound", "conclude"]
