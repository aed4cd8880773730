//! Every rule holds in a few seeds, and every rule is broken where its promise is sabotaged.

use crosstie_sim::{Faults, Report, Rule, Sabotage, Scenario};

/// Few, since these tests run without optimisation; `cargo xtask test` runs a thousand.
const SEEDS: u64 = 8;

fn assert_clean(report: &Report) {
    let first = report.violations.first().map(ToString::to_string).unwrap_or_default();
    assert!(first.is_empty(), "seed {} broke {first}", report.seed);
}

/// The first of a few seeds in which the sabotage breaks the rule.
fn caught(sabotage: Sabotage, rule: Rule) -> Option<u64> {
    let scenario = Scenario { sabotage: Some(sabotage), ..Scenario::default() };
    (0..4 * SEEDS).find(|seed| scenario.run(*seed).violations.iter().any(|violation| violation.rule == rule))
}

#[track_caller]
fn assert_caught(sabotage: Sabotage, rule: Rule) {
    assert!(caught(sabotage, rule).is_some(), "nobody noticed {sabotage:?}");
}

#[test]
fn every_rule_holds_under_faults() {
    for seed in 0..SEEDS {
        assert_clean(&Scenario::default().run(seed));
    }
}

#[test]
fn every_rule_holds_in_calm_weather() {
    for seed in 0..SEEDS / 2 {
        assert_clean(&Scenario { faults: Faults::none(), ..Scenario::default() }.run(seed));
    }
}

#[test]
fn a_seed_replays_its_run_to_the_last_line() {
    let run = |seed| Scenario::default().run(seed).hash;
    for seed in 0..4 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(0), run(1));
}

#[test]
fn control_a_run_that_draws_from_more_than_its_seed_does_not_replay() {
    let scenario = Scenario { sabotage: Some(Sabotage::Chance), ..Scenario::default() };
    assert_ne!(scenario.run(1).hash, scenario.run(1).hash);
}

#[test]
fn control_deliveries_that_change_places_break_the_order() {
    assert_caught(Sabotage::SwapFrames, Rule::Order);
}

#[test]
fn control_a_delivery_that_comes_twice_breaks_the_order() {
    assert_caught(Sabotage::RepeatFrame, Rule::Order);
}

#[test]
fn control_a_delivery_to_the_wrong_subscription_is_noticed() {
    assert_caught(Sabotage::Misroute, Rule::Subscribed);
}

#[test]
fn control_a_delivery_for_an_unknown_id_is_noticed() {
    assert_caught(Sabotage::StrangeId, Rule::Subscribed);
}

#[test]
fn control_a_second_member_of_a_group_is_noticed() {
    assert_caught(Sabotage::SecondMember, Rule::OneMember);
}

#[test]
fn control_a_message_that_no_member_of_a_group_gets_is_noticed() {
    assert_caught(Sabotage::DropFrame, Rule::OneMember);
}

#[test]
fn control_a_delivery_that_no_fault_has_lost_is_missed() {
    assert_caught(Sabotage::DropFrame, Rule::Delivery);
}

#[test]
fn control_a_client_that_does_not_subscribe_again_has_not_healed() {
    assert_caught(Sabotage::ForgetSubscriptions, Rule::Healing);
}

#[test]
fn control_a_client_that_does_not_dial_again_has_not_healed() {
    assert_caught(Sabotage::NeverDial, Rule::Healing);
}

#[test]
fn control_answers_that_are_mixed_up_are_noticed() {
    assert_caught(Sabotage::SwapAnswers, Rule::Requests);
}

#[test]
fn control_no_responders_where_there_are_some_is_noticed() {
    assert_caught(Sabotage::DenyResponders, Rule::Requests);
}

#[test]
fn control_a_request_that_never_ends_is_noticed() {
    assert_caught(Sabotage::NoDeadline, Rule::Requests);
}

#[test]
fn control_a_wire_a_broker_and_a_client_that_hold_too_much_are_noticed() {
    for sabotage in [Sabotage::LooseWire, Sabotage::LooseBroker, Sabotage::LooseClient] {
        assert_caught(sabotage, Rule::Bounds);
    }
}
