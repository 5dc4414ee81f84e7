"""Two imagined machines do whatever machines do; the conductor's promises hold all the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serving.api import AgentState, RankReport, agreement
from serving.conductor.decision import ACTIVE, decide
from serving.conductor.observation import (
    Action,
    AskGolden,
    Course,
    GoldenResult,
    Join,
    Limits,
    Observation,
    Start,
    Stop,
)
from serving.rank.status import Phase, RankStatus, Tick
from tests.serving.replicas import machine, replica, status

LIMITS = Limits(
    unanswered=4, checking=30, joining=10, loading=30, warming=20, settled=50, adopting=10, pauses=(0, 1, 4)
)
PERIOD = 0.5
AGREEMENT = agreement(replica())
NEXT: dict[Phase, Phase] = {"checking": "checked", "joining": "loading", "loading": "serving"}
RANKS = st.integers(0, 1)


@dataclass
class Machine:
    """One machine: whether its agent answers, and its rank."""

    rank: int
    answers: bool = True
    able: bool = True
    linked: bool = True
    generation: int | None = None
    phase: Phase | None = None
    living: bool = False
    refusal: RankStatus | None = None
    steps: int = 1
    beats: int = 1
    stopped: bool = False
    begun: list[int] = field(default_factory=list)

    def says(self) -> AgentState | None:
        if not self.answers:
            return None
        report = None
        if self.generation is not None and self.phase is not None:
            told = self.refusal or status(self.rank, self.phase, self.generation)
            report = RankReport(
                generation=self.generation,
                living=self.living,
                status=told,
                agreement=AGREEMENT,
                tick=Tick(self.steps, self.beats, "idle"),
                exit_code=None if self.living else 1,
            )
        return machine(
            self.rank,
            report,
            unable="" if self.able else "no room",
            unable_to_join="" if self.linked else "no cable",
        )

    def start(self, generation: int) -> None:
        if self.living or not self.able or self.generation == generation:
            return
        self.generation, self.phase, self.living, self.refusal = generation, "checking", True, None
        self.stopped = False
        self.begun.append(generation)

    def ends(self) -> None:
        self.living = False


class Replica(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.machines = (Machine(0), Machine(1))
        self.course = Course()
        self.golden: GoldenResult | None = None
        self.asked: int | None = None
        self.starts_in_a_row = 0

    @rule(rounds=st.sampled_from([1, 4, 30, 80]), lost=st.sets(RANKS))
    def conduct(self, rounds: int, lost: set[int]) -> None:
        """Some rounds; what is sent to `lost` machines does not arrive."""
        for _ in range(rounds):
            self.round(PERIOD, lost)

    @rule(seconds=st.sampled_from([3.0, 70.0, 2000.0]))
    def conductor_is_stopped_for_a_while(self, seconds: float) -> None:
        self.round(seconds, set())

    @rule()
    def conductor_is_killed_and_begins_again(self) -> None:
        """Only the generation is written down. What an agent restarts, a person or launchd did: its budget is new."""
        self.course = Course(generation=self.course.generation)
        self.golden, self.asked, self.starts_in_a_row = None, None, 0

    def round(self, seconds: float, lost: set[int]) -> None:
        self.now += seconds
        self.ranks_move()
        before = self.course
        observation = Observation(
            now=self.now,
            replica=replica(),
            agreement=AGREEMENT,
            limits=LIMITS,
            course=before,
            machines=tuple(each.says() for each in self.machines),
            golden=self.golden,
        )
        decision = decide(observation)
        self.course = decision.course
        self.check_step(before, decision.actions)
        for action in decision.actions:
            self.act(action, lost)

    def ranks_move(self) -> None:
        """Beats are each rank's own; a step needs all of them."""
        for each in self.machines:
            each.beats += each.living and not each.stopped
        together = all(each.living and each.phase == "serving" and not each.stopped for each in self.machines)
        for each in self.machines:
            each.steps += together

    def check_step(self, before: Course, actions: tuple[Action, ...]) -> None:
        after = self.course
        if after.generation != before.generation:
            assert after.generation > before.generation
            assert all(each.answers and not each.living for each in self.machines)
            self.starts_in_a_row = 1 if before.restarts == 0 and before.state == "absent" else self.starts_in_a_row + 1
            assert self.starts_in_a_row <= 1 + replica().restarts
        if before.state == "ready" and after.restarts == 0:
            self.starts_in_a_row = 1
        if after.state == "ready" and before.state != "ready":
            assert self.golden == GoldenResult(after.generation, "")
            assert all(
                m.answers and m.living and m.phase == "serving" and m.generation == after.generation
                for m in self.machines
            )
        if any(isinstance(action, Stop) for action in actions):
            assert not self.is_whole() or before.state not in ("absent", "ready") or self.was_wrong(before)
        if any(isinstance(action, Join) for action in actions) and not before.joining:
            assert all(each.linked for each in self.machines)
        if after.state not in ACTIVE:
            assert not [action for action in actions if isinstance(action, Start | Join | AskGolden)]
            self.check_that_somebody_is_waited_for_or_stopped(actions)

    def is_whole(self) -> bool:
        """All ranks serve, move, and are of the generation that was written down last."""
        return all(
            each.living
            and each.phase == "serving"
            and not each.stopped
            and each.refusal is None
            and each.generation == self.course.generation
            for each in self.machines
        )

    def was_wrong(self, before: Course) -> bool:
        """Whether it could not be known: ranks that have just gone on again, or an agent that has been away long."""
        judged_earlier = before.state == "absent" and not before.beginning
        just_resumed = any(
            motion is not None and self.now - motion.beaten > LIMITS.stopped for motion in before.motions
        ) or any(motion is not None and self.now - motion.stepped > LIMITS.stalled for motion in before.motions)
        waited_long = before.seen is not None and self.now - before.since > LIMITS.adopting
        return judged_earlier or just_resumed or waited_long

    def check_that_somebody_is_waited_for_or_stopped(self, actions: tuple[Action, ...]) -> None:
        failed_now = self.course.since == self.now
        assert self.course.state == "broken" or failed_now or actions or self.course.waiting

    def act(self, action: Action, lost: set[int]) -> None:
        if isinstance(action, AskGolden):
            self.asked = action.generation
            return
        addressed = self.machines[action.rank]
        if action.rank in lost or not addressed.answers:
            return
        if isinstance(action, Start):
            addressed.start(action.generation)
        elif not isinstance(action, Join):
            addressed.ends()
        elif addressed.living and addressed.generation == action.generation and addressed.phase == "checked":
            addressed.phase = "joining"

    @rule(rounds=st.integers(1, 8))
    def all_goes_well_for_a_while(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round(PERIOD, set())
            self.rank_goes_on(0)
            self.rank_goes_on(1)

    @rule(rank=RANKS)
    def rank_goes_on(self, rank: int) -> None:
        its = self.machines[rank]
        if its.living and not its.stopped and its.phase in NEXT:
            its.phase = NEXT[its.phase]

    @rule(rank=RANKS)
    def rank_is_stopped_or_goes_on(self, rank: int) -> None:
        self.machines[rank].stopped = not self.machines[rank].stopped

    @rule(rank=RANKS)
    def rank_dies(self, rank: int) -> None:
        self.machines[rank].ends()

    @rule(rank=RANKS, curable=st.booleans())
    def rank_refuses(self, rank: int, curable: bool) -> None:
        its = self.machines[rank]
        if its.living and its.generation is not None:
            its.refusal = status(rank, "refused", its.generation, reason="no", curable=curable)
            its.ends()

    @rule(rank=RANKS)
    def agent_falls_silent_or_answers_again(self, rank: int) -> None:
        self.machines[rank].answers = not self.machines[rank].answers

    @rule(rank=RANKS)
    def machine_restarts(self, rank: int) -> None:
        its = self.machines[rank]
        its.answers, its.living, its.generation, its.phase = True, False, None, None

    @rule(rank=RANKS)
    def disk_is_full_or_has_room(self, rank: int) -> None:
        self.machines[rank].able = not self.machines[rank].able

    @rule(rank=RANKS)
    def cable_goes_or_comes(self, rank: int) -> None:
        self.machines[rank].linked = not self.machines[rank].linked

    @rule(right=st.booleans())
    def golden_answer_comes(self, right: bool) -> None:
        if self.asked is not None:
            self.golden = GoldenResult(self.asked, "" if right else "wrong")

    @invariant()
    def one_generation_lives(self) -> None:
        assert len({each.generation for each in self.machines if each.living}) <= 1

    @invariant()
    def generations_only_go_up(self) -> None:
        assert all(each.begun == sorted(each.begun) for each in self.machines)

    def teardown(self) -> None:
        """Whatever happened: once everything works again it becomes ready, or a person was asked for."""
        for each in self.machines:
            each.answers = each.able = each.linked = True
        for _ in range(300):
            if self.course.state in ("ready", "broken"):
                return
            self.round(PERIOD, set())
            for rank in (0, 1):
                self.rank_goes_on(rank)
            self.golden_answer_comes(right=True)
        assert self.course.state in ("ready", "broken")


TestReplica = Replica.TestCase
TestReplica.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
