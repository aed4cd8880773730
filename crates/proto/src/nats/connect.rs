//! `CONNECT`: what a client says of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The document a client answers `INFO` with.
///
/// A key that is missing has NATS's default, which is `true` for `verbose`, `pedantic` and `echo`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// Answer every operation with `+OK`.
    pub verbose: bool,
    /// Check subjects strictly.
    pub pedantic: bool,
    /// The client needs TLS.
    pub tls_required: bool,
    /// A name for people to read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The client's language.
    pub lang: String,
    /// The client library's version.
    pub version: String,
    /// 1 if the client understands later `INFO`s.
    pub protocol: i64,
    /// Deliver the client's own messages to it, too.
    pub echo: bool,
    /// The client understands headers.
    pub headers: bool,
    /// The client wants a 503 where nobody answers; needs `headers`.
    pub no_responders: bool,
    /// A user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// A public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<String>,
    /// The nonce, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sig: Option<String>,
    /// A user's token in JWT form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<String>,
    /// The account to enter, which only other servers may choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            tls_required: false,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            echo: true,
            headers: false,
            no_responders: false,
            user: None,
            pass: None,
            auth_token: None,
            nkey: None,
            sig: None,
            jwt: None,
            account: None,
        }
    }
}

impl Connect {
    /// The document in JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of plain values has a JSON form")
    }
}

impl Connect {
    /// This document with what `json` changes: keys match in any letter case, `null` changes nothing, what is not known is ignored.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object or `null`, or a known key has a value of the wrong type.
    pub fn amended(&self, json: &[u8]) -> Result<Self, serde_json::Error> {
        let changes: Option<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(&String::from_utf8_lossy(json))?;
        let mut merged = serde_json::to_value(self)?;
        for (key, value) in changes.unwrap_or_default() {
            if !value.is_null() {
                merged[key.to_ascii_lowercase()] = value;
            }
        }
        serde_json::from_value(merged)
    }
}

impl fmt::Debug for Connect {
    /// Secrets are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("name", &self.name)
            .field("lang", &self.lang)
            .field("version", &self.version)
            .field("verbose", &self.verbose)
            .field("pedantic", &self.pedantic)
            .field("echo", &self.echo)
            .field("headers", &self.headers)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_keys_have_the_defaults_of_nats() {
        let connect: Connect = serde_json::from_str("{}").unwrap();
        assert!(connect.verbose && connect.pedantic && connect.echo && !connect.headers);
    }

    #[test]
    fn a_later_document_changes_only_what_it_names() {
        let first = Connect::default().amended(br#"{"VERBOSE":false,"name":"a","later":[1],"echo":null}"#).unwrap();
        assert!(!first.verbose && first.echo && first.name == "a");
        let second = first.amended(br#"{"echo":false}"#).unwrap();
        assert!(!second.verbose && !second.echo && second.name == "a");
        assert_eq!(second.amended(b"null").unwrap(), second);
        for wrong in ["", "[]", "1", r#"{"verbose":1}"#, r#"{"protocol":1.5}"#, r#"{"name":5}"#, "{} x"] {
            assert!(first.amended(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let connect = Connect { pass: Some("s3cret".into()), auth_token: Some("t0ken".into()), ..Connect::default() };
        let text = format!("{connect:?}");
        assert!(!text.contains("s3cret") && !text.contains("t0ken"));
    }
}
