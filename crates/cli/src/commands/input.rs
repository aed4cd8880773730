//! What the user gives a command to send.

use std::{
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use crosstie::{ConnectOptions, Endpoint, Error, Event, Headers, IntoEndpoint, Kind, SubjectPattern, blocking::Client};

use super::template;
use crate::exit::{Code, Failure};

/// The most bytes read from standard input: the largest payload any server takes.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// Connects as the command line asks.
pub(super) fn connect(server: &str) -> Result<Client, Failure> {
    let options = ConnectOptions::new().name(format!("crosstie {}", std::process::id()));
    // It stands on the command line or in the environment of whoever runs this, so it may name files.
    let endpoint = server.into_endpoint().map_err(Failure::before_sending)?.trusted();
    options.connect_blocking(endpoint).map_err(|error| match error.kind() {
        Kind::Disconnected | Kind::Timeout => {
            let text = format!(
                "no connection to {}: {error}: is a broker running there? 'crosstie serve' starts one",
                shown(server)
            );
            Failure::before_sending(Error::new(error.kind(), text))
        }
        _ => Failure::before_sending(error),
    })
}

/// A URL as it was typed, unless there is something secret in it.
pub(super) fn shown(server: &str) -> String {
    if !server.contains('@') {
        return server.to_owned();
    }
    server.parse::<Endpoint>().map_or_else(|_| "the server".to_owned(), |endpoint| endpoint.to_string())
}

/// What to subscribe to, checked before anything is connected.
pub(super) fn pattern(text: &str) -> Result<SubjectPattern, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("PATTERN: {error}")))
}

/// Waits until the server has read what was sent, and tells if a permission was missing for it.
pub(super) fn flush(client: &Client) -> Result<(), Failure> {
    client.flush()?;
    check_permissions(client)
}

/// Tells if the server has said by now that a permission is missing.
pub(super) fn check_permissions(client: &Client) -> Result<(), Failure> {
    let mut events = client.events();
    while let Some(event) = events.try_next() {
        if let Event::ServerError(text) = event
            && text.to_ascii_lowercase().starts_with("permissions violation")
        {
            return Err(Failure::new(Code::Denied, "denied", format!("the server refused it: {text}")));
        }
    }
    Ok(())
}

/// The payload: the text itself, or standard input for `-`.
pub(super) fn payload(text: &str) -> Result<Vec<u8>, Failure> {
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Failure::usage(format!("standard input has more than {MAX_INPUT} bytes, which no server takes")));
    }
    Ok(bytes)
}

/// Headers from `NAME:VALUE`.
pub(super) fn headers(texts: &[String]) -> Result<Headers, Failure> {
    let mut headers = Headers::new();
    for text in texts {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("--header: expected NAME:VALUE, found '{text}'")))?;
        headers.append(name, value).map_err(|error| Failure::usage(format!("--header: {error}")))?;
    }
    Ok(headers)
}

/// What every template may name.
const ALWAYS: [&str; 3] = ["{{count}}", "{{time}}", "{{random}}"];

/// Refuses a template that names what nobody knows; `more` is what it may name beside the usual.
pub(super) fn check_template(what: &str, template: &str, more: &[&str]) -> Result<(), Failure> {
    let known = [more, &ALWAYS].concat();
    template::unknown(template, &known).map_or(Ok(()), |unknown| {
        let known = known.join(", ");
        Err(Failure::usage(format!(
            "{what}: expected one of {known}, found {unknown}{}",
            // An answer is never read from there.
            if more.is_empty() { ": braces on standard input are left alone" } else { "" }
        )))
    })
}

/// Fills in what a template may name. Bytes that are not text are left alone.
pub(super) fn fill(template: &[u8], count: u64, more: &[(&str, &[u8])]) -> Vec<u8> {
    let (count, time, random) = (count.to_string(), now(), format!("{:016x}", fastrand::u64(..)));
    let mut values: Vec<(&str, &[u8])> =
        ALWAYS.into_iter().zip([count.as_bytes(), time.as_bytes(), random.as_bytes()]).collect();
    values.extend_from_slice(more);
    template::fill(template, &values)
}

/// The time of day in RFC 3339, UTC.
pub(super) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_millis(UNIX_EPOCH + seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_once_and_values_are_not_templates() {
        let more: [(&str, &[u8]); 1] = [("{{payload}}", b"{{count}}")];
        assert_eq!(fill(b"{{count}}: {{payload}} {{other}}", 7, &more), b"7: {{count}} {{other}}");
    }

    #[test]
    fn a_template_that_names_what_nobody_knows_is_refused() {
        let refused = |text: &str| match check_template("PAYLOAD", text, &["{{payload}}"]) {
            Ok(()) => None,
            Err(failure) => Some(failure.to_string()),
        };
        for text in [
            "",
            "{{count}} {{payload}}",
            "{{",
            "{{}}",
            "{{\"a\":1}}",
            "{{ count }}",
            "{{a",
            "{{a}",
            "{ {x} }",
            "ä{{ä}}",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
        for (text, unknown) in
            [("{{cuont}}", "{{cuont}}"), ("{{count}}{{x_1}}", "{{x_1}}"), ("{{{b}}}", "{{b}}"), ("{{\"{{b}}", "{{b}}")]
        {
            let told = refused(text).unwrap();
            assert!(
                told.contains(&format!("found {unknown}")) && told.contains("{{payload}}, {{count}}, {{time}}"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_url_is_shown_as_typed_and_a_secret_is_not() {
        assert_eq!(shown("localhost"), "localhost");
        assert_eq!(shown("nats://h:1"), "nats://h:1");
        assert!(!shown("nats://ann:pw@h").contains("pw") && shown("nats://ann:pw@h").contains("@h"));
        assert_eq!(shown("token@h:x"), "the server");
    }

    #[test]
    fn a_header_without_a_colon_is_wrong_usage() {
        assert!(headers(&["nothing".into()]).is_err());
        assert_eq!(headers(&["A: b:c".into()]).unwrap().get("A"), Some("b:c"));
    }
}
