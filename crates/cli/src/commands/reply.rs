//! `crosstie reply`.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crosstie::Message;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use super::{
    input::{check_template, connect, fill, flush, pattern},
    watch::watch,
};
use crate::{args::ReplyArgs, exit::Failure, output::Output};

/// The most bytes a command's answer may have.
const MAX_ANSWER: u64 = 1024 * 1024;

pub(crate) fn run(args: &ReplyArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let wanted = pattern(&args.pattern)?;
    match &args.template {
        Some(template) => check_template("TEMPLATE", template, &["{{payload}}", "{{subject}}"])?,
        None if args.echo || args.exec.is_some() => {}
        None => return Err(Failure::usage("what is the answer? Give a TEMPLATE, --echo or --exec COMMAND")),
    }
    let client = connect(server)?;
    let mut requests = client.queue_subscribe(wanted, &args.queue)?;
    flush(&client)?;
    watch(&client, server, output);
    output.note(&format!("answering '{}'", args.pattern));
    let mut count = 0;
    while args.count.is_none_or(|max| count < max) {
        let Some(request) = requests.next() else { break };
        let Some(to) = request.reply.clone() else { continue };
        count += 1;
        let mut answer = Message::new(to, Vec::new());
        match respond(args, &request, count) {
            Ok(payload) => answer.payload = payload.into(),
            Err(text) => {
                let told = format!("'{}' was answered with an error: {text}", request.subject);
                output.event("answered_with_error", &told);
                let line = text.lines().next().unwrap_or("failed").to_owned();
                answer.headers.append("Tie-Error", line).map_err(|error| Failure::usage(error.to_string()))?;
            }
        }
        client.publish_message(answer)?;
        flush(&client)?;
    }
    output.data(&json!({ "answered": count }), Vec::new)
}

fn respond(args: &ReplyArgs, request: &Message, count: u64) -> Result<Vec<u8>, String> {
    if let Some(command) = &args.exec {
        return execute(command, request, args.exec_timeout);
    }
    if args.echo {
        return Ok(request.payload.to_vec());
    }
    let template = args.template.as_deref().unwrap_or_default();
    let more: [(&str, &[u8]); 2] = [("{{payload}}", &request.payload), ("{{subject}}", request.subject.as_bytes())];
    Ok(fill(template.as_bytes(), count, &more))
}

/// Runs a shell command: payload in, answer out. The subject is in its environment, never in its text.
///
/// Returns within `limit`, whatever the command leaves running: the answer is complete once nobody holds the output open.
fn execute(command: &str, request: &Message, limit: Duration) -> Result<Vec<u8>, String> {
    let until = Instant::now().checked_add(limit);
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("CROSSTIE_SUBJECT", request.subject.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A group of its own, so that all it has started can be ended with it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start the command: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let payload = request.payload.clone();
    thread::spawn(move || {
        // A command that does not read its input is not at fault.
        let _ = stdin.map(|mut stdin| stdin.write_all(&payload));
    });
    let (told, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.map(|stdout| stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer));
        // Nobody listens any more if it took too long.
        let _ = told.send(read.transpose().map(|_| answer));
    });
    // Neither thread is joined: what has left the group may hold the pipes open for as long as it likes.
    match finish(&mut child, &answer, until) {
        Ok(Some((status, answer))) => match (status.success(), answer.len() as u64 > MAX_ANSWER) {
            (true, false) => Ok(answer),
            (true, true) => Err(format!("the command printed more than {MAX_ANSWER} bytes")),
            (false, _) => Err(format!("the command failed ({status})")),
        },
        Ok(None) => {
            end(&mut child);
            Err(format!("the command, or what it left running with its output open, took longer than {limit:?}"))
        }
        Err(error) => {
            end(&mut child);
            Err(format!("cannot read the answer: {error}"))
        }
    }
}

/// The status and the output of `child`; nothing if it has not come `until` then, and `child` is not reaped in that case.
fn finish(
    child: &mut Child,
    answer: &mpsc::Receiver<io::Result<Vec<u8>>>,
    until: Option<Instant>,
) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let answer = match answer
        .recv_timeout(until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now())))
    {
        Ok(answer) => answer?,
        Err(mpsc::RecvTimeoutError::Timeout) => return Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            return Err(io::Error::other("the thread that reads it has ended"));
        }
    };
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some((status, answer))),
            None if until.is_some_and(|until| Instant::now() >= until) => return Ok(None),
            // It has closed its output, so it is about to end.
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Kills `child` and its group. It was not reaped, so the group is still its own.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, limit: Duration) -> Result<Vec<u8>, String> {
        execute(command, &Message::new("a.b".parse().unwrap(), b"payload".to_vec()), limit)
    }

    #[test]
    fn a_command_answers_with_what_it_prints() {
        let limit = Duration::from_secs(20);
        assert_eq!(run("cat; printf %s \" $CROSSTIE_SUBJECT\"", limit).unwrap(), b"payload a.b");
        assert!(run("exit 9", limit).unwrap_err().contains("exit status: 9"));
    }

    #[test]
    fn what_a_command_leaves_running_cannot_make_it_overrun_its_limit() {
        // It would hold the output open for far longer than the watchdog.
        let begun = Instant::now();
        let error = run("sleep 60 & echo hi", Duration::from_millis(300)).unwrap_err();
        assert!(error.contains("took longer than 300ms"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_does_not_hold_the_output_may_go_on() {
        assert_eq!(run("sleep 1 >/dev/null 2>&1 & echo hi", Duration::from_secs(20)).unwrap(), b"hi\n");
    }
}
