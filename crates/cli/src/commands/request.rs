//! `crosstie request`.

use crosstie::Subject;

use super::{
    input::{check_permissions, connect, headers, payload},
    subscribe::show,
};
use crate::{
    args::RequestArgs,
    exit::{Code, Failure},
    output::Output,
};

pub(crate) fn run(args: &RequestArgs, server: &str, output: &Output) -> Result<(), Failure> {
    let subject: Subject = args.subject.parse().map_err(|error| Failure::usage(format!("SUBJECT: {error}")))?;
    let (headers, payload) = (headers(&args.header)?, payload(&args.payload)?);
    let client = connect(server)?;
    if args.replies == 1 {
        let answer = client.request(subject, payload).headers(headers).timeout(args.timeout).send();
        // A request that was refused has no answer: say why, not that the time is up.
        check_permissions(&client)?;
        let answer = answer?;
        show(&answer, args.raw, output)?;
        return told_error(&answer);
    }
    let mut replies = client.request_many(subject, payload, args.replies, args.timeout)?;
    let mut count = 0;
    while let Some(answer) = replies.next()? {
        show(&answer, args.raw, output)?;
        count += 1;
    }
    if count < args.replies {
        check_permissions(&client)?;
        let text = format!("{count} of {} answers came within {:?}", args.replies, args.timeout);
        return Err(Failure::new(Code::Deadline, "timeout", text));
    }
    Ok(())
}

/// A service that failed says so in a header.
fn told_error(answer: &crosstie::Message) -> Result<(), Failure> {
    let told = answer.headers.get("Tie-Error").or_else(|| answer.headers.get("Nats-Service-Error"));
    told.map_or(Ok(()), |error| {
        Err(Failure::new(Code::Application, "application", format!("the service failed: {error}")))
    })
}
