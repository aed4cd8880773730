//! Flag before environment before file before default, and from where each value came.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use crosstie_broker::Limits;

use super::{KEYS, Key, document};
use crate::{
    settings::Settings,
    tree::{ConfigError, Entry, Node, Place, Value, suggestion},
};

/// The places that a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `CROSSTIE_` are ignored.
    pub variables: Vec<(String, String)>,
    /// Flags: the path of a key (`limits.max_payload`) and its value.
    pub flags: Vec<(String, String)>,
}

impl Layers {
    /// The environment of this process, without file and flags.
    pub fn from_environment() -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        Self {
            variables: std::env::vars_os().filter_map(|(name, value)| text(name).zip(text(value))).collect(),
            ..Self::default()
        }
    }

    /// Reads all layers into settings.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place; then what does not fit together.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut loaded = Loaded { settings: Settings::new(), origins: HashMap::new() };
        if let Some(path) = &self.file {
            let root = document::read(path)?;
            loaded.take_file(&root)?;
        }
        for key in KEYS {
            let variable = key.variable();
            if let Some((_, value)) = self.variables.iter().find(|(name, _)| *name == variable) {
                loaded.take_word(key, value, Origin::Environment(variable))?;
            }
        }
        for (path, value) in &self.flags {
            let key = KEYS.iter().find(|key| key.path == path).ok_or_else(|| {
                let hint = suggestion(path, KEYS.iter().map(|key| key.path));
                ConfigError::new(&Place::whole("flags"), format!("unknown key '{path}'{hint}"))
            })?;
            let flag = key.flag().ok_or_else(|| {
                let message = format!("'{path}' cannot be a flag: write it into the file, or use {}", key.variable());
                ConfigError::new(&Place::whole("flags"), message)
            })?;
            loaded.take_word(key, value, Origin::Flag(format!("--{flag}")))?;
        }
        loaded.share_memory();
        let blame = self.file.as_ref().map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        fits_together(&loaded.settings).map_err(|message| ConfigError::new(&Place::whole(blame), message))?;
        Ok(loaded)
    }
}

/// Reads the configuration file at `path` and says what is wrong with it, if anything is.
///
/// # Errors
///
/// The first thing that is wrong, with its line and column.
pub fn check_config(path: &Path) -> Result<Loaded, ConfigError> {
    Layers { file: Some(path.to_owned()), ..Layers::default() }.load()
}

/// Reads a document that came from nowhere, leaving out the keys that name a file with a secret.
pub(super) fn read_document(mut root: Node) -> Result<(), ConfigError> {
    leave_out_secret_files(&mut root);
    let mut loaded = Loaded { settings: Settings::new(), origins: HashMap::new() };
    loaded.take_file(&root)
}

fn leave_out_secret_files(node: &mut Node) {
    match &mut node.value {
        Value::Table(table) => {
            table.entries.retain(|entry| !entry.key.ends_with("token_file") && !entry.key.ends_with("password_file"));
            table.entries.iter_mut().for_each(|entry| leave_out_secret_files(&mut entry.node));
        }
        Value::List(items) => items.iter_mut().for_each(leave_out_secret_files),
        _ => {}
    }
}

/// Settings, and from where each came.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    origins: HashMap<&'static str, Origin>,
}

impl Loaded {
    /// From where the value of `key` came.
    pub fn origin(&self, key: &Key) -> Origin {
        self.origins.get(key.path).cloned().unwrap_or(Origin::Default)
    }

    /// Gives every limit that is a share of the memory, and that nobody set, its share.
    fn share_memory(&mut self) {
        let shares = Limits::within(self.settings.options.limits.memory);
        let is_set = |path: &str| self.origins.contains_key(path);
        let limits = &mut self.settings.options.limits;
        for (path, limit, share) in [
            ("limits.max_connections", &mut limits.max_connections, shares.max_connections),
            ("limits.max_pending_total", &mut limits.max_pending_total, shares.max_pending_total),
            ("limits.max_held_input_total", &mut limits.max_held_input_total, shares.max_held_input_total),
            ("limits.max_remembered_total", &mut limits.max_remembered_total, shares.max_remembered_total),
            ("limits.max_unauthenticated", &mut limits.max_unauthenticated, shares.max_unauthenticated),
        ] {
            if !is_set(path) {
                *limit = share;
            }
        }
        if !is_set("limits.max_pending") {
            limits.max_pending = limits.max_pending.min(limits.max_pending_total);
        }
    }

    fn take_file(&mut self, root: &Node) -> Result<(), ConfigError> {
        for entry in &root.table()?.entries {
            let is_table = KEYS.iter().any(|key| key.path.split_once('.').is_some_and(|(table, _)| table == entry.key));
            if is_table {
                for inner in &entry.node.table()?.entries {
                    self.take_entry(&format!("{}.{}", entry.key, inner.key), inner)?;
                }
            } else {
                self.take_entry(&entry.key, entry)?;
            }
        }
        Ok(())
    }

    fn take_entry(&mut self, path: &str, entry: &Entry) -> Result<(), ConfigError> {
        let key = KEYS.iter().find(|key| key.path == path).ok_or_else(|| {
            let hint = suggestion(path, KEYS.iter().map(|key| key.path));
            ConfigError::new(&entry.place, format!("unknown key '{path}'{hint}"))
        })?;
        self.take(key, &entry.node, Origin::File(entry.place.to_string()))
    }

    fn take_word(&mut self, key: &'static Key, value: &str, origin: Origin) -> Result<(), ConfigError> {
        let place = Place::whole(origin.to_string());
        let node = Node {
            // Only the list of users is more than a word; it is written as in the file.
            value: if key.form == super::users::FORM {
                let inline = document::parse(&place.source, &format!("value = {value}"))?;
                inline.table()?.get("value").expect("the only key").value.clone()
            } else {
                Value::Text(value.to_owned())
            },
            place,
        };
        self.take(key, &node, origin)
    }

    fn take(&mut self, key: &'static Key, node: &Node, origin: Origin) -> Result<(), ConfigError> {
        (key.read)(node, &mut self.settings)?;
        self.origins.insert(key.path, origin);
        Ok(())
    }
}

/// From where a value came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file, with line and column.
    File(String),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What no single key can see.
pub(crate) fn fits_together(settings: &Settings) -> Result<(), String> {
    let auth = &settings.options.auth;
    if let Some(name) = &auth.no_auth_user
        && !auth.users.iter().any(|user| user.name == *name)
    {
        return Err(format!("no_auth_user: expected the name of one of the users, found '{name}'"));
    }
    let limits = &settings.options.limits;
    if limits.max_payload > limits.max_pending {
        return Err(format!(
            "max_payload ({} bytes) is more than max_pending ({} bytes): no client could be sent a message that large",
            limits.max_payload, limits.max_pending
        ));
    }
    if limits.max_pending > limits.max_pending_total {
        return Err(format!(
            "max_pending ({} bytes) is more than max_pending_total ({} bytes): raise the one or lower the other",
            limits.max_pending, limits.max_pending_total
        ));
    }
    Ok(())
}
