//! `crosstie pub`.

use std::time::{Duration, Instant};

use crosstie::{Message, Subject};
use serde_json::json;

use super::input::{check_template, connect, fill, flush, headers, payload};
use crate::{args::PubArgs, exit::Failure, output::Output};

pub(crate) fn run(args: &PubArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let subject: Subject = args.subject.parse().map_err(|error| Failure::usage(format!("SUBJECT: {error}")))?;
    let reply = args.reply.as_deref().map(str::parse).transpose();
    let reply: Option<Subject> = reply.map_err(|error| Failure::usage(format!("--reply: {error}")))?;
    // What comes from elsewhere may be full of braces.
    if args.payload != "-" {
        check_template("PAYLOAD", &args.payload, &[])?;
    }
    let (headers, template) = (headers(&args.header)?, payload(&args.payload)?);
    let client = connect(server)?;
    let mut due = Some(Instant::now());
    for number in 1..=args.count {
        let mut message = Message::new(subject.clone(), fill(&template, number, &[]));
        message.headers = headers.clone();
        message.reply.clone_from(&reply);
        client.publish_message(message)?;
        if let (Some(every), true) = (args.every, number < args.count) {
            flush(&client)?;
            // On time by the clock, not by the sum of the pauses.
            due = due.and_then(|due| due.checked_add(every));
            std::thread::sleep(due.map_or(Duration::MAX, |due| due.saturating_duration_since(Instant::now())));
        }
    }
    flush(&client)?;
    output.data(&json!({ "published": args.count, "subject": subject.as_str() }), Vec::new)
}
