//! The keys of `tls`, of which the certificate and its key make the others mean something.

use std::path::PathBuf;

use crosstie_broker::{HandshakeFirst, Tls};
use crosstie_net::TlsFiles;

use super::quote::quote;
use crate::{
    settings::Settings,
    tree::{ConfigError, Node, duration_text},
};

/// How long a client is waited for that may begin by itself, where nothing else is said: nats-server's time.
pub(crate) const AUTO: std::time::Duration = std::time::Duration::from_millis(50);

/// The options, made if nothing was said of them yet.
pub(super) fn options(settings: &mut Settings) -> &mut Tls {
    settings.options.tls.get_or_insert_with(|| Tls::new(TlsFiles::default()))
}

pub(super) fn cert(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).files.cert = Some(node.path()?);
    Ok(())
}

pub(super) fn key(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).files.key = Some(node.path()?);
    Ok(())
}

pub(super) fn ca(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).files.ca = Some(node.path()?);
    Ok(())
}

pub(super) fn timeout(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).timeout = node.duration()?;
    Ok(())
}

pub(super) fn allow_plain(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).allow_plain = node.bool()?;
    Ok(())
}

pub(super) fn handshake_first(node: &Node, settings: &mut Settings) -> Result<(), ConfigError> {
    options(settings).handshake_first = first(node)?;
    Ok(())
}

/// `true`, `false`, `auto`, or a time.
pub(crate) fn first(node: &Node) -> Result<HandshakeFirst, ConfigError> {
    if let Ok(always) = node.bool() {
        return Ok(if always { HandshakeFirst::Always } else { HandshakeFirst::No });
    }
    if node.text() == Ok("auto") {
        return Ok(HandshakeFirst::Within(AUTO));
    }
    let time = node.duration().map_err(|_| node.refuse("expected true, false, auto, or a time like '300ms'"))?;
    Ok(HandshakeFirst::Within(time))
}

fn shown<T>(settings: &Settings, show: impl FnOnce(&Tls) -> Option<T>) -> Option<T> {
    settings.options.tls.as_ref().and_then(show)
}

fn path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| quote(&path.to_string_lossy()))
}

pub(super) fn show_cert(settings: &Settings) -> Option<String> {
    shown(settings, |tls| path(tls.files.cert.as_ref()))
}

pub(super) fn show_key(settings: &Settings) -> Option<String> {
    shown(settings, |tls| path(tls.files.key.as_ref()))
}

pub(super) fn show_ca(settings: &Settings) -> Option<String> {
    shown(settings, |tls| path(tls.files.ca.as_ref()))
}

pub(super) fn show_timeout(settings: &Settings) -> Option<String> {
    shown(settings, |tls| Some(quote(&duration_text(tls.timeout))))
}

pub(super) fn show_allow_plain(settings: &Settings) -> Option<String> {
    shown(settings, |tls| Some(tls.allow_plain.to_string()))
}

pub(super) fn show_handshake_first(settings: &Settings) -> Option<String> {
    shown(settings, |tls| {
        Some(match tls.handshake_first {
            HandshakeFirst::No => "false".to_owned(),
            HandshakeFirst::Always => "true".to_owned(),
            HandshakeFirst::Within(time) => quote(&duration_text(time)),
        })
    })
}
