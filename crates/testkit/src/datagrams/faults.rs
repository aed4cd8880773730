//! What a process does whose datagrams misbehave from a seed, and how it says so.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

use crosstie_core::{Endpoint, fault::Fault};
use crosstie_net::{Datagrams, FaultLog, receive_datagrams, send_datagrams};

use super::{
    numbered::{ROOM, Tally, letter},
    peer::LONG,
    subject::Subject,
};

/// The argument that makes a program misbehave.
const AS_FAULTY: &str = "--as-faulty-datagrams";
/// How many letters go.
const LETTERS: u32 = 300;

/// An endpoint whose user is to make faults.
pub(super) fn faulty(endpoint: &Endpoint, spec: &str) -> Endpoint {
    let mut options = endpoint.options().clone();
    options.fault = Some(spec.parse().expect("faults"));
    endpoint.clone().with_options(options).trusted()
}

/// The fault logs of another process, which does the same each time.
pub(super) fn logs_of_another_process(name: &str, folder: &Path, face: &str, spec: &str) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([AS_FAULTY, name, face, spec]).arg(folder).env("CROSSTIE_ALLOW_FAULTS", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Misbehaves if that is what this process was started for.
pub(super) fn play_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = env::args().collect();
    let [_, flag, name, face, spec, folder] = &arguments[..] else { return None };
    if flag != AS_FAULTY {
        return None;
    }
    let subject = Subject::all(Path::new(folder)).into_iter().find(|subject| subject.is(name)).expect("a scheme");
    let receiver = receive_datagrams(&faulty(&subject.endpoint(), spec)).expect("a receiver");
    let sender = send_datagrams(&faulty(receiver.endpoint(), spec)).expect("a sender");
    let logs = [&sender, &receiver].map(|end| end.faults().expect("it makes them").clone());
    carry(face, sender, receiver, &logs);
    for log in logs {
        println!("# {spec}");
        log.taken().iter().for_each(|taken| println!("{taken}"));
    }
    Some(ExitCode::SUCCESS)
}

fn carry(face: &str, sender: Datagrams, receiver: Datagrams, logs: &[FaultLog; 2]) {
    let mut tally = Count::default();
    if face == "thread" {
        for number in 0..LETTERS {
            sender.send(&letter(number), LONG).unwrap();
            tally.take(&receiver);
        }
        // What waits to be overtaken goes with its sender.
        drop(sender);
        tally.take_all(logs, &receiver);
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, receiver) = (sender.into_async().unwrap(), receiver.into_async().unwrap());
        for number in 0..LETTERS {
            tokio::time::timeout(LONG, sender.send(&letter(number))).await.expect("in time").unwrap();
            tally.take(receiver.get_ref());
        }
        drop(sender);
        tally.take_all(logs, receiver.get_ref());
    });
}

/// What has come.
#[derive(Default)]
pub(super) struct Count {
    pub(super) tally: Tally,
    came: u64,
}

impl Count {
    /// Takes what is there.
    pub(super) fn take(&mut self, receiver: &Datagrams) {
        let mut buf = [0; ROOM];
        while let Some(received) = receiver.try_receive(&mut buf).unwrap() {
            self.tally.came(&buf[..received.len]);
            self.came += 1;
        }
    }

    /// Takes all that comes by the logs of sender and receiver.
    fn take_all(&mut self, [out, into]: &[FaultLog; 2], receiver: &Datagrams) {
        let until = Instant::now() + LONG;
        let more = |log: &FaultLog| {
            let count = |fault| log.count(|taken| taken.fault == fault);
            count(Fault::Dup) as i64 - count(Fault::Drop) as i64
        };
        let mut buf = [0; ROOM];
        while (self.came as i64) < i64::from(LETTERS) + more(out) + more(into) || !self.is_settled(out, into) {
            assert!(Instant::now() < until, "{} came", self.came);
            if let Ok(received) = receiver.receive(&mut buf, std::time::Duration::from_millis(20)) {
                self.tally.came(&buf[..received.len]);
                self.came += 1;
            }
        }
    }

    /// True once as many were met by the receiver as the sender let through.
    fn is_settled(&self, out: &FaultLog, into: &FaultLog) -> bool {
        let of = |log: &FaultLog, fault| log.count(|taken| taken.fault == fault);
        let arrived = u64::from(LETTERS) + of(out, Fault::Dup) - of(out, Fault::Drop);
        into.count(|taken| matches!(taken.fault, Fault::Delay(_))) + of(into, Fault::Drop) == arrived
    }
}
