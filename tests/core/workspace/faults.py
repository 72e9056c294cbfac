"""Stand-ins for tests of a workspace: the clean room without its process, and models that forget the wrong sample."""

from dataclasses import replace

from core.lmeraser.eraser import LMEraser
from core.lmeraser.planning import Planner
from core.lmeraser.records import ForgetPlan
from core.workspace.clean_room import CleanRoomJob, train_from_scratch


def clean_room_here(before, ids, config, backbone, workers, *_):
    """The clean room without its process."""
    return train_from_scratch(CleanRoomJob(before, tuple(ids), config, backbone.spec, "cpu", workers))


def next_row(ids, among):
    """The ids of the rows after those asked for."""
    return tuple(among[(among.index(i) + 1) % len(among)] for i in ids)


def break_forget(patch) -> None:
    """Let the model lose the next row instead of the one asked for, at the moment it is cut."""
    real = LMEraser.forget

    def wrong(self, ids, *rest):
        plan = ids if isinstance(ids, ForgetPlan) else self.plan(ids)
        return real(self, self.plan(next_row(plan.ids, self.samples_.ids)), *rest)

    patch.setattr(LMEraser, "forget", wrong)


def break_plan(patch) -> None:
    """Let the plan take the next row instead of the one asked for."""
    real = Planner.plan

    def wrong(self, model, ids, timings):
        return replace(real(self, model, next_row(ids, model.samples.ids), timings), ids=ids)

    patch.setattr(Planner, "plan", wrong)
