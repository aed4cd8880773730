//! One file per command.

pub(crate) mod bench;
pub(crate) mod check_config;
mod input;
pub(crate) mod message;
pub(crate) mod ps;
pub(crate) mod publish;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod shm;
pub(crate) mod stream;
pub(crate) mod subscribe;
mod template;
pub(crate) mod tls;
mod watch;
