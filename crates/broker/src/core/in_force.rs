//! The options in force, which a reload replaces as a whole while the broker runs.

use std::{
    ops::Deref,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crosstie_proto::nats::client_op::ClientLimits;

use crate::options::Options;

/// Where the options in force are found.
pub(super) struct InForce {
    options: RwLock<Arc<Options>>,
    /// Goes up with every replacement, so that whoever keeps a [`View`] sees without a lock that it is out of date.
    version: AtomicU64,
}

impl InForce {
    pub(super) fn new(options: Options) -> Self {
        Self { options: RwLock::new(Arc::new(options)), version: AtomicU64::new(0) }
    }

    /// The options as they are now.
    pub(super) fn view(&self) -> View {
        // The version is read first: a replacement in between is noticed at the next look.
        let version = self.version.load(Ordering::Acquire);
        let options = Arc::clone(&self.options.read().unwrap_or_else(PoisonError::into_inner));
        View { client_limits: client_limits(&options), options, version }
    }

    pub(super) fn replace(&self, options: Options) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(options);
        // Release pairs with the Acquire in `view` and `is_current`: whoever sees the version sees the options.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// True if nothing has been replaced since `view` was taken.
    pub(super) fn is_current(&self, view: &View) -> bool {
        self.version.load(Ordering::Acquire) == view.version
    }
}

/// The options as they were at one moment.
#[derive(Clone)]
pub(super) struct View {
    options: Arc<Options>,
    version: u64,
    /// What the parser checks, out of the options.
    pub(super) client_limits: ClientLimits,
}

impl View {
    pub(super) const fn options(&self) -> &Arc<Options> {
        &self.options
    }
}

impl Deref for View {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.options
    }
}

fn client_limits(options: &Options) -> ClientLimits {
    ClientLimits { max_control_line: options.limits.max_control_line, max_payload: options.limits.max_payload }
}
