//! The control of the models of rings, pools and values: whatever is weakened or left out, a model finds it, or it stands below why not.

use std::process::{Command, Stdio};

use crate::faults::Fault;

/// Faults that no model finds, and why that is right.
const SURVIVORS: &[(Fault, &str)] = &[
    (
        Fault::Taken,
        "it keeps the reads of a message before the store of the position; loom never moves a read behind a store",
    ),
    (Fault::TakenSeen, "the other half of the same pair"),
    (
        Fault::EpochSeen,
        "the full fence after it orders the look that follows as well; it is there for those who read the pair alone",
    ),
];

/// Those that are tried each time; the others with `CROSSTIE_ALL_FAULTS` set, for it takes minutes.
const TELLING: &[Fault] = &[
    Fault::Stamp,
    Fault::NextHeader,
    Fault::ResumeWalk,
    Fault::Seat,
    Fault::WakerFence,
    Fault::Epoch,
    Fault::RingBit,
    Fault::RingWake,
    Fault::HeardLook,
    Fault::HeardMembers,
    Fault::Given,
    Fault::GiveCheck,
    Fault::LatestSeen,
    Fault::Claimed,
];

/// The models in which a fault is to show.
fn models_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Loaned | Fault::Returned | Fault::Given | Fault::GiveCheck => "pool::models",
        Fault::LatestStored
        | Fault::LatestSeen
        | Fault::Claimed
        | Fault::Helped
        | Fault::HelpedOnResume
        | Fault::ReaderFence
        | Fault::WriterFence => "latest::models",
        Fault::RingBit
        | Fault::RingBitSeen
        | Fault::RingBitStored
        | Fault::RingWake
        | Fault::HeardLook
        | Fault::HeardMembers => "wait::models",
        _ => "ring::models",
    }
}

#[test]
fn control_each_fault_breaks_a_model() {
    let is_whole = |fault: Fault, name: &str| {
        let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
        command.arg(models_of(fault)).env("CROSSTIE_RING_FAULT", name);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").success()
    };
    let survives = |fault: &Fault| SURVIVORS.iter().any(|(survivor, _)| survivor == fault);
    let all = std::env::var_os("CROSSTIE_ALL_FAULTS").is_some();
    let unexpected: Vec<_> = Fault::ALL
        .iter()
        .filter(|(fault, _)| all || TELLING.contains(fault))
        .filter(|(fault, name)| is_whole(*fault, name) != survives(fault))
        .map(|(_, name)| name)
        .collect();
    assert!(unexpected.is_empty(), "found though listed as survivors, or not found: {unexpected:?}");
}
