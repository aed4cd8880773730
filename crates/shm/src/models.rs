//! The control of the models of rings, pools and values: whatever is weakened or left out, a model finds it, or it stands below why not.

use std::process::{Command, Stdio};

use crate::faults::Fault;

/// Faults that no model finds, and why that is right.
const SURVIVORS: &[(Fault, &str)] = &[];

#[test]
fn control_each_fault_breaks_a_model() {
    let run = |fault: &str| {
        let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
        command.args(["ring::models", "pool::models", "latest::models"]);
        command.env("CROSSTIE_RING_FAULT", fault).env("LOOM_MAX_PREEMPTIONS", "2");
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").success()
    };
    let unexpected: Vec<_> = Fault::ALL
        .iter()
        .filter(|(fault, name)| run(name) != SURVIVORS.iter().any(|(survivor, _)| survivor == fault))
        .map(|(_, name)| name)
        .collect();
    assert!(unexpected.is_empty(), "found though listed as survivors, or not found: {unexpected:?}");
}
