//! `crosstie reply`.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crosstie::Message;
use serde_json::json;

use super::input::{connect, fill, flush, pattern};
use crate::{args::ReplyArgs, exit::Failure, output::Output};

/// The most bytes a command's answer may have.
const MAX_ANSWER: u64 = 1024 * 1024;

pub(crate) fn run(args: &ReplyArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let wanted = pattern(&args.pattern)?;
    let client = connect(server)?;
    let mut requests = client.queue_subscribe(wanted, &args.queue)?;
    flush(&client)?;
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
                output.note(&format!("'{}' was answered with an error: {text}", request.subject));
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
fn execute(command: &str, request: &Message, limit: Duration) -> Result<Vec<u8>, String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("CROSSTIE_SUBJECT", request.subject.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the command: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let payload = request.payload.clone();
    let feeding = thread::spawn(move || {
        // A command that does not read its input is not at fault.
        let _ = stdin.map(|mut stdin| stdin.write_all(&payload));
    });
    let reading = thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.map(|stdout| stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer));
        read.transpose().map(|_| answer)
    });
    let until = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= until => {
                // It may end by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the command took longer than {limit:?}"));
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    // Joined only now: a grandchild that holds the pipe open must not hold us.
    let answer = reading.join().map_err(|_| "cannot read the answer")?.map_err(|error| error.to_string())?;
    drop(feeding);
    match (status.success(), answer.len() as u64 > MAX_ANSWER) {
        (true, false) => Ok(answer),
        (true, true) => Err(format!("the command printed more than {MAX_ANSWER} bytes")),
        (false, _) => Err(format!("the command failed ({status})")),
    }
}
