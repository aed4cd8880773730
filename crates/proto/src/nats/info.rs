//! `INFO`: what a server says of itself.

use serde::{Deserialize, Serialize};

/// The document a server sends first, and again when something in it changes.
///
/// A key that does not apply is absent, never `false` or `[]`, but for those NATS always sends. Keys that are not known
/// are ignored when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The unique id of this run of the server.
    pub server_id: String,
    /// The name an administrator gave it, else its id.
    pub server_name: String,
    /// The version whose features are complete.
    pub version: String,
    /// The protocol level: 1 means that more `INFO` may follow.
    pub proto: u8,
    /// The commit it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// The language version it was built with.
    pub go: String,
    /// The address it listens on.
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// True if it understands headers.
    pub headers: bool,
    /// True if credentials are needed.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// True if TLS is needed.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// True if a client certificate is needed.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    /// True if TLS is possible.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    /// The largest payload, headers included.
    pub max_payload: usize,
    /// True if streams are served.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// The number of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<u64>,
    /// The address the client came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
    /// What a client signs to prove who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The cluster's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Other addresses at which the same service is found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// True if the server is about to leave.
    #[serde(skip_serializing_if = "is_false")]
    pub ldm: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Info {
    /// The document in JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of plain values has a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_apply_are_absent() {
        let json = Info { server_id: "N".into(), headers: true, ..Info::default() }.to_json();
        assert!(!json.contains("auth_required") && !json.contains("connect_urls") && !json.contains("nonce"));
        assert!(json.contains("\"headers\":true"));
    }

    #[test]
    fn unknown_keys_of_a_newer_server_are_ignored() {
        let info: Info = serde_json::from_str(r#"{"server_id":"N","xkey":"X","api_lvl":2,"max_payload":8}"#).unwrap();
        assert_eq!((info.server_id.as_str(), info.max_payload), ("N", 8));
    }
}
