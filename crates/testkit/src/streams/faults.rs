//! What a process does that misbehaves from a seed, and says how.

use std::{
    env,
    io::{self, Read},
    path::Path,
    process::{Command, ExitCode},
    thread,
};

use crosstie_core::FaultSpec;
use crosstie_net::{Connection, FaultLog, Flow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    pattern::Pattern,
    peer::{LONG, Role},
    subject::Subject,
};

/// The argument that makes a program misbehave.
const AS_FAULTY: &str = "--as-faulty";
/// How much goes each way, where nothing is cut.
const TOTAL: u64 = 64 * 4096;
/// How much is tried where something is.
const UNTIL_CUT: u64 = 1024 * 4096;

/// The fault log of another process, which does the same each time.
pub(super) fn log_of_another_process(subject: &Subject, face: &str, spec: &str) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([AS_FAULTY, subject.name, face, spec]).arg(subject.folder()).env("CROSSTIE_ALLOW_FAULTS", "1");
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
    let subject = Subject::all(Path::new(folder)).into_iter().find(|subject| subject.name == name).expect("a scheme");
    let spec: FaultSpec = spec.parse().expect("faults");
    let logs = if spec.first_of(&["cut"]).is_some() {
        until_cut(&subject, face, &spec)
    } else {
        both_ways(&subject, face, &spec)
    };
    // Where an address is one of many, it is none of the log.
    for log in logs {
        println!("# {spec}");
        log.taken().iter().for_each(|taken| println!("{taken}"));
    }
    Some(ExitCode::SUCCESS)
}

fn both_ways(subject: &Subject, face: &str, spec: &FaultSpec) -> Vec<FaultLog> {
    let (mut near, mut far, _other) = subject.faulty(spec, Role::Echo, true);
    [Some(&mut near), far.as_mut()].into_iter().flatten().for_each(|end| end.set_timeout(Some(LONG)));
    let logs = [Some(&near), far.as_ref()].into_iter().flatten().map(log_of).collect();
    let is_two_way = subject.capabilities.flow == Flow::TwoWay;
    match (face, far) {
        ("thread", Some(far)) => {
            carry(&near, &far);
            if is_two_way {
                carry(&far, &near);
            }
        }
        ("thread", None) => carry(&near, &near),
        (_, far) => on_tokio(near, far, is_two_way),
    }
    logs
}

fn log_of(connection: &Connection) -> FaultLog {
    connection.faults().expect("it meets faults").clone()
}

/// What goes comes, whatever is done to it.
fn carry(from: &Connection, to: &Connection) {
    thread::scope(|scope| {
        scope.spawn(|| Pattern::new().write(from, TOTAL).unwrap());
        assert_eq!(Pattern::new().read(to, TOTAL).unwrap(), Ok(TOTAL));
    });
}

fn on_tokio(near: Connection, far: Option<Connection>, is_two_way: bool) {
    let mut text = Vec::new();
    Pattern::new().write(&mut text, TOTAL).unwrap();
    let exchange = async {
        let (near_reader, near_writer) = tokio::io::split(near.into_async().unwrap());
        let Some(far) = far else { return carry_async(&text, near_writer, near_reader).await };
        let (far_reader, far_writer) = tokio::io::split(far.into_async().unwrap());
        carry_async(&text, near_writer, far_reader).await;
        if is_two_way {
            carry_async(&text, far_writer, near_reader).await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, exchange).await.expect("in time") });
}

async fn carry_async(
    text: &[u8],
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    mut reader: impl tokio::io::AsyncRead + Unpin,
) {
    let mut came = vec![0; text.len()];
    let (sent, read) = tokio::join!(writer.write_all(text), reader.read_exact(&mut came));
    sent.unwrap();
    read.unwrap();
    assert!(came == text, "the bytes are not those that went");
}

/// Writes until it is cut. Whoever reads has what went before, and nothing else.
fn until_cut(subject: &Subject, face: &str, spec: &FaultSpec) -> Vec<FaultLog> {
    let (mut near, far, _other) = subject.faulty(spec, Role::Judge, false);
    near.set_timeout(Some(LONG));
    let log = log_of(&near);
    let reading = far.map(|mut far| {
        far.set_timeout(Some(LONG));
        thread::spawn(move || {
            let mut came = Vec::new();
            // A cut may show as an end or as a reset.
            let _ = (&far).read_to_end(&mut came);
            came.len() as u64
        })
    });
    let error = match face {
        "thread" => Pattern::new().write(&near, UNTIL_CUT).unwrap_err(),
        _ => {
            let mut text = Vec::new();
            Pattern::new().write(&mut text, UNTIL_CUT).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { near.into_async().unwrap().write_all(&text).await.unwrap_err() })
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    assert!(error.to_string().contains("cut on purpose by fault="), "{error}");
    if let Some(reading) = reading {
        assert!(reading.join().unwrap() < UNTIL_CUT, "it was cut before the end");
    }
    vec![log]
}
