//! nats-server's words for TLS: the block `tls`, `allow_non_tls`, and the flags that begin with `--tls`.

use std::{path::PathBuf, time::Duration};

use crosstie_broker::{HandshakeFirst, Tls};
use crosstie_net::TlsFiles;

use crate::{
    config::handshake_first,
    settings::Settings,
    tree::{ConfigError, Node, refuse_unknown},
};

/// What was said of TLS. What it comes to is known once all of it was.
#[derive(Clone, Debug, Default)]
pub(super) struct StatedTls {
    /// There is a block, or a flag.
    pub(super) is_wanted: bool,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) verify: bool,
    pub(super) allow_plain: bool,
    timeout: Option<Duration>,
    first: Option<HandshakeFirst>,
}

const KEYS: &[&str] =
    &["cert_file", "key_file", "ca_file", "verify", "timeout", "handshake_first", "first", "immediate", "min_version"];
/// Keys that nats-server has besides, and what to do.
const ELSEWHERE: &[&str] = &[
    "cipher_suites",
    "curve_preferences",
    "insecure",
    "verify_and_map",
    "verify_cert_and_check_known_urls",
    "connection_rate_limit",
    "pinned_certs",
    "cert_store",
    "cert_match_by",
    "cert_match",
    "cert_match_skip_invalid",
    "ca_certs_match",
    "certs",
    "ocsp_peer",
];

impl StatedTls {
    /// Reads the block.
    pub(super) fn block(&mut self, node: &Node) -> Result<(), ConfigError> {
        let table = node.table()?;
        if let Some(entry) = table.entries.iter().find(|entry| ELSEWHERE.contains(&entry.key.as_str())) {
            let message = format!(
                "'{}' in tls is not supported by this server, which speaks TLS 1.3 with what is strong in it: remove it, or use nats-server",
                entry.key
            );
            return Err(ConfigError::new(&entry.place, message));
        }
        refuse_unknown(table, KEYS, "tls")?;
        let path = |key: &str| table.get(key).map(Node::path).transpose();
        self.is_wanted = true;
        (self.cert, self.key, self.ca) = (path("cert_file")?, path("key_file")?, path("ca_file")?);
        self.verify = table.get("verify").map_or(Ok(false), Node::bool)?;
        self.timeout = table.get("timeout").map(Node::seconds).transpose()?;
        let first = ["handshake_first", "first", "immediate"].iter().find_map(|key| table.get(key));
        self.first = first.map(handshake_first).transpose()?;
        if let Some(version) = table.get("min_version")
            && !matches!(version.word()?.as_str(), "1.2" | "1.3")
        {
            return Err(version.refuse("expected '1.2' or '1.3'; nothing older than 1.3 is spoken here"));
        }
        Ok(())
    }

    /// Puts what was said into the settings.
    pub(super) fn settle(self, settings: &mut Settings) -> Result<(), String> {
        if !self.is_wanted {
            // nats-server does not mind what else is said then, and neither does anything here depend on it.
            return Ok(());
        }
        if self.verify && self.ca.is_none() {
            return Err("tls: 'verify' needs to know who signs clients' certificates: name the file with 'ca_file' (--tlscacert)".to_owned());
        }
        let mut files = TlsFiles::default();
        (files.cert, files.key) = (self.cert, self.key);
        // Without `verify` it is known who could sign, and nobody is asked.
        files.ca = self.ca.filter(|_| self.verify);
        let mut tls = Tls::new(files);
        tls.timeout = self.timeout.unwrap_or(tls.timeout);
        tls.handshake_first = self.first.unwrap_or(tls.handshake_first);
        tls.allow_plain = self.allow_plain;
        settings.options.tls = Some(tls);
        Ok(())
    }
}
