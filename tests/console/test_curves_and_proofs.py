"""What waits for its proof, and what a shift came to step by step; both bounded."""

from provisioner.console.curve import FIRST_STEP_MS, STEPS_MAX, Curve, Step


def test_a_shift_of_any_length_is_a_bounded_number_of_steps_and_loses_nobody():
    curve = Curve()
    for second in range(0, 12 * 3600, 5):
        curve.add(second * 1000, Step(passes=1))

    assert len(curve.steps) <= STEPS_MAX
    assert sum(step.passes for step in curve.steps) == 12 * 720
    assert curve.step_ms % FIRST_STEP_MS == 0
    assert {step.passes for step in curve.steps[:-1]} == {curve.step_ms // 5000}, "a steady shift is a flat curve"


def test_a_jump_of_the_clock_by_a_day_is_taken_at_once():
    curve = Curve()
    curve.add(1000, Step(fails=1))
    curve.add(86_400_000 * 365, Step(unproven=1))

    assert len(curve.steps) <= STEPS_MAX
    assert (curve.steps[0].fails, curve.steps[-1].unproven) == (1, 1)


def test_devices_wait_from_the_moment_they_are_told_until_the_cloud_has_spoken(fold):
    told = [(10, "connect.intended", {"device": 1}), (20, "connect.intended", {"device": 2})]

    both = fold(*told).proofs
    one = fold(*told, (31, "device.confirmed", {"device": 1, "outcome": "pass"})).proofs

    assert (list(both.queue), both.oldest.slot) == (list(both.open), 1)
    assert (one.oldest.slot, one.usual_ms()) == (2, 21_000)


def test_what_was_not_proven_in_time_leaves_the_queue_and_stays_unproven(fold):
    proofs = fold((10, "connect.intended", {"device": 1}), (99, "device.unknown", {"device": 1, "outcome": "unknown"}))

    assert (len(proofs.proofs.queue), len(proofs.proofs.open)) == (0, 1)


def test_a_board_that_certainly_did_not_go_or_came_back_does_not_wait(fold):
    for back in ("connect.refused", "device.returned", "device.failed"):
        fields = {"device": 1, **({"outcome": "fail"} if back == "device.failed" else {})}
        assert not fold((10, "connect.intended", {"device": 1}), (12, back, fields)).proofs.open, back
