//! What a server said, frame by frame, without what differs between two runs.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Keys of INFO whose value says who the server is, not how it behaves.
const IDENTITY: [&str; 10] =
    ["server_id", "server_name", "version", "git_commit", "go", "port", "client_id", "nonce", "xkey", "api_lvl"];

/// The frames in what a connection received, one printable line each.
///
/// Bytes that are no frame of the protocol end it, as a line that shows them.
pub(super) fn frames(mut received: &[u8], ignored_info: &BTreeSet<String>) -> Vec<String> {
    let mut told = Vec::new();
    while !received.is_empty() {
        let Some(length) = frame_length(received) else {
            told.push(format!("unframed {}", show(received)));
            break;
        };
        let (frame, rest) = received.split_at(length);
        received = rest;
        told.push(match frame.strip_prefix(b"INFO ") {
            Some(json) => info(json, ignored_info),
            None => show(frame.strip_suffix(b"\r\n").unwrap_or(frame)),
        });
    }
    told
}

/// How long the first frame is, if it is complete.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let text = std::str::from_utf8(&bytes[..line]).ok();
    let is_message = bytes.starts_with(b"MSG ") || bytes.starts_with(b"HMSG ");
    if !is_message {
        let known = ["INFO ", "+OK\r\n", "-ERR ", "PING\r\n", "PONG\r\n"];
        return known.iter().any(|start| bytes.starts_with(start.as_bytes())).then_some(line);
    }
    // A subject need not be UTF-8; the size is the last token either way.
    let head = text.map_or_else(|| String::from_utf8_lossy(&bytes[..line]).into_owned(), str::to_owned);
    let size: usize = head.trim_end().rsplit(' ').next()?.parse().ok()?;
    let length = line + size + 2;
    (bytes.len() >= length).then_some(length)
}

fn info(json: &[u8], ignored: &BTreeSet<String>) -> String {
    let Ok(Pairs(pairs)) = serde_json::from_slice(json) else {
        return format!("INFO that is no JSON object: {}", show(json));
    };
    let value = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
    let named = value("server_name") != value("server_id");
    let words: Vec<String> = pairs
        .iter()
        .filter(|(key, _)| !ignored.contains(key))
        .map(|(key, value)| {
            let hidden = IDENTITY.contains(&key.as_str()) && !(named && key == "server_name");
            if hidden { format!("{key}=?") } else { format!("{key}={value}") }
        })
        .collect();
    let end = if json.ends_with(b"} \r\n") { "" } else { ", and no space at its end" };
    format!("INFO {}{end}", words.join(" "))
}

/// A JSON object with its keys in the order in which they came.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Bytes as printable text; long runs are shortened by their length.
fn show(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"");
    if text.len() <= 400 {
        return text;
    }
    format!("{}…{} bytes…{}", &text[..120], bytes.len(), &text[text.len() - 60..])
}

/// The sid hidden in a delivery, for cases in which any subscription may receive.
pub(super) fn without_sid(frame: &str) -> String {
    if !frame.starts_with("MSG ") && !frame.starts_with("HMSG ") {
        return frame.to_owned();
    }
    let mut words: Vec<&str> = frame.splitn(4, ' ').collect();
    if words.len() == 4 {
        words[2] = "?";
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        frames(bytes, &BTreeSet::new())
    }

    #[test]
    fn frames_are_told_apart_by_their_sizes() {
        let bytes = b"+OK\r\nMSG a 1 4\r\n\r\n\r\n\r\nHMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n-ERR 'x'\r\nPONG\r\n";
        assert_eq!(
            read(bytes),
            ["+OK", r"MSG a 1 4\r\n\r\n\r\n", r"HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi", "-ERR 'x'", "PONG"]
        );
    }

    #[test]
    fn what_is_no_frame_shows() {
        assert_eq!(read(b"PONG\r\nHELLO\r\n"), ["PONG", r"unframed HELLO\r\n"]);
        assert_eq!(read(b"MSG a 1 9\r\nhi\r\n"), [r"unframed MSG a 1 9\r\nhi\r\n"]);
    }

    #[test]
    fn info_keeps_order_and_behaviour_and_hides_identity() {
        let bytes = b"INFO {\"server_id\":\"A\",\"server_name\":\"A\",\"headers\":true,\"xkey\":\"k\"} \r\n";
        assert_eq!(read(bytes), ["INFO server_id=? server_name=? headers=true xkey=?"]);
        let ignored = BTreeSet::from(["xkey".to_owned()]);
        assert_eq!(frames(bytes, &ignored), ["INFO server_id=? server_name=? headers=true"]);
    }

    #[test]
    fn only_a_delivery_has_a_sid_to_hide() {
        assert_eq!(without_sid(r"MSG a 17 1\r\nx"), r"MSG a ? 1\r\nx");
        assert_eq!(without_sid("PONG"), "PONG");
    }
}
