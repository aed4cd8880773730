//! `crosstie sub`.

use crosstie::Message;

use super::{
    input::{connect, flush, pattern},
    watch::watch,
};
use crate::{
    args::SubArgs,
    exit::{Code, Failure},
    output::{Output, message_json, printable},
};

pub(crate) fn run(args: &SubArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let wanted = pattern(&args.pattern)?;
    let client = connect(server)?;
    let mut subscription = match &args.queue {
        Some(group) => client.queue_subscribe(wanted, group)?,
        None => client.subscribe(wanted)?,
    };
    if let Some(count) = args.count {
        subscription.unsubscribe_after(count);
    }
    flush(&client)?;
    watch(&client, server, output);
    output.note(&format!("listening on '{}'", args.pattern));
    loop {
        let message = match args.timeout {
            Some(timeout) => subscription.next_timeout(timeout)?,
            None => subscription.next(),
        };
        let Some(message) = message else { break };
        show(&message, args.raw, output)?;
    }
    // With a count the end is the end; without one, the server is gone for good.
    match args.count {
        Some(_) => Ok(()),
        None => Err(Failure::new(Code::Failure, "closed", "the connection was closed")),
    }
}

/// Prints a message the way `sub` and `request` do.
pub(super) fn show(message: &Message, raw: bool, output: &Output) -> Result<(), Failure> {
    output.data(&message_json(message), || if raw { message.payload.to_vec() } else { for_people(message, output) })
}

/// On a terminal nothing that came from others may move the cursor or change the colours.
fn for_people(message: &Message, output: &Output) -> Vec<u8> {
    let (dim, plain) = if output.has_colour() { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
    let reply = message.reply.as_ref().map_or_else(String::new, |reply| format!(" ({reply})"));
    let is_shown = output.data_is_shown();
    let mut text = format!("{dim}[{}]{reply}{plain} ", message.subject).into_bytes();
    if is_shown {
        text.extend_from_slice(printable(&message.payload).as_bytes());
    } else {
        text.extend_from_slice(&message.payload);
    }
    text.push(b'\n');
    for (name, value) in message.headers.iter() {
        let value = if is_shown { printable(value.as_bytes()) } else { value.to_owned() };
        text.extend_from_slice(format!("{dim}    {name}: {value}{plain}\n").as_bytes());
    }
    text
}
