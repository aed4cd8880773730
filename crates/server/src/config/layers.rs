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
        let mut loaded = Loaded::new();
        if let Some(path) = &self.file {
            let root = document::read(path).map_err(document::first)?;
            loaded.take_file(&root).into_iter().next().map_or(Ok(()), Err)?;
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
        let misfit = misfits(&loaded.settings).into_iter().next();
        misfit.map_or(Ok(()), |misfit| Err(loaded.blame(&misfit, &blame)))?;
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

/// Everything that is wrong with the configuration file at `path`, in its order: of what is no TOML the mistakes in writing alone, since
/// nothing else can be read then; otherwise one for each key, each user, and each two keys that do not fit together.
pub fn mistakes(path: &Path) -> Vec<ConfigError> {
    let root = match document::read(path) {
        Ok(root) => root,
        Err(mistakes) => return mistakes,
    };
    let mut loaded = Loaded::new();
    let mut mistakes = loaded.take_file(&root);
    loaded.share_memory();
    let file = path.display().to_string();
    let is_known = |key: &str| loaded.is_set(key) || !is_written(&root, key);
    // What was refused has its default here, which fits nothing of what was meant.
    let misfits = misfits(&loaded.settings).into_iter().filter(|misfit| misfit.keys.iter().all(|key| is_known(key)));
    mistakes.extend(misfits.map(|misfit| loaded.blame(&misfit, &file)));
    mistakes.sort_by_key(|mistake| (mistake.line(), mistake.column()));
    mistakes
}

/// Whether the document says anything of the key at `path`.
fn is_written(root: &Node, path: &str) -> bool {
    let inside = |node: &Node, key: &str| node.table().ok().and_then(|table| table.get(key).cloned());
    match path.split_once('.') {
        Some((table, key)) => inside(root, table).and_then(|table| inside(&table, key)).is_some(),
        None => inside(root, path).is_some(),
    }
}

/// Reads a document that came from nowhere, leaving out the keys that name a file with a secret.
pub(super) fn read_document(mut root: Node) -> Result<(), ConfigError> {
    leave_out_secret_files(&mut root);
    Loaded::new().take_file(&root).into_iter().next().map_or(Ok(()), Err)
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
    /// Where the keys of the file stand.
    places: HashMap<&'static str, Place>,
}

impl Loaded {
    fn new() -> Self {
        Self { settings: Settings::new(), origins: HashMap::new(), places: HashMap::new() }
    }

    fn is_set(&self, path: &str) -> bool {
        self.origins.contains_key(path)
    }

    /// A misfit as the mistake of a place: that of the first of its keys that is in the file.
    fn blame(&self, misfit: &Misfit, otherwise: &str) -> ConfigError {
        let place = misfit.keys.iter().find_map(|key| self.places.get(key));
        ConfigError::new(&place.cloned().unwrap_or_else(|| Place::whole(otherwise)), misfit.message.as_str())
    }

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

    /// Takes every key of the file that can be read; the others are the mistakes.
    fn take_file(&mut self, root: &Node) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let entries = |node: &Node| node.table().map(|table| table.entries.clone());
        for entry in entries(root).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Vec::new()
        }) {
            let is_table = KEYS.iter().any(|key| key.path.split_once('.').is_some_and(|(table, _)| table == entry.key));
            if !is_table {
                self.take_entry(&entry.key, &entry, &mut mistakes);
                continue;
            }
            match entries(&entry.node) {
                Ok(inside) => inside
                    .iter()
                    .for_each(|inner| self.take_entry(&format!("{}.{}", entry.key, inner.key), inner, &mut mistakes)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes
    }

    fn take_entry(&mut self, path: &str, entry: &Entry, mistakes: &mut Vec<ConfigError>) {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else {
            let hint = suggestion(path, KEYS.iter().map(|key| key.path));
            mistakes.push(ConfigError::new(&entry.place, format!("unknown key '{path}'{hint}")));
            return;
        };
        if key.form == super::users::FORM {
            // All that is wrong with them, not the first of it.
            let before = mistakes.len();
            mistakes.extend(super::users::mistakes(&entry.node));
            if mistakes.len() > before {
                return;
            }
        }
        match self.take(key, &entry.node, Origin::File(entry.place.to_string())) {
            Ok(()) => drop(self.places.insert(key.path, entry.place.clone())),
            Err(mistake) => mistakes.push(mistake),
        }
    }

    fn take_word(&mut self, key: &'static Key, value: &str, origin: Origin) -> Result<(), ConfigError> {
        let place = Place::whole(origin.to_string());
        let node = Node {
            // Only the list of users is more than a word; it is written as in the file.
            value: if key.form == super::users::FORM {
                let inline = document::parse(&place.source, &format!("value = {value}")).map_err(document::first)?;
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

/// Keys that do not fit together.
struct Misfit {
    keys: &'static [&'static str],
    message: String,
}

/// What no single key can see.
pub(crate) fn fits_together(settings: &Settings) -> Result<(), String> {
    misfits(settings).into_iter().next().map_or(Ok(()), |misfit| Err(misfit.message))
}

fn misfits(settings: &Settings) -> Vec<Misfit> {
    let (auth, limits) = (&settings.options.auth, &settings.options.limits);
    let mut misfits = Vec::new();
    if let Some(name) = &auth.no_auth_user
        && !auth.users.iter().any(|user| user.name == *name)
    {
        let message = format!("no_auth_user: expected the name of one of the users, found '{name}'");
        misfits.push(Misfit { keys: &["auth.no_auth_user", "auth.users"], message });
    }
    if let Some(tls) = &settings.options.tls {
        let missing = match (&tls.files.cert, &tls.files.key) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("cert"),
            (_, None) => Some("key"),
        };
        if let Some(missing) = missing {
            let message = format!("tls: a certificate and its key are needed, and '{missing}' is missing");
            misfits.push(Misfit { keys: &["tls.cert", "tls.key", "tls.ca", "tls.timeout"], message });
        }
    }
    if limits.max_payload > limits.max_pending {
        let message = format!(
            "max_payload ({} bytes) is more than max_pending ({} bytes): no client could be sent a message that large",
            limits.max_payload, limits.max_pending
        );
        misfits.push(Misfit { keys: &["limits.max_payload", "limits.max_pending"], message });
    }
    if limits.max_pending > limits.max_pending_total {
        let message = format!(
            "max_pending ({} bytes) is more than max_pending_total ({} bytes): raise the one or lower the other",
            limits.max_pending, limits.max_pending_total
        );
        misfits.push(Misfit { keys: &["limits.max_pending", "limits.max_pending_total"], message });
    }
    misfits
}
