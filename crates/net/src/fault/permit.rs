//! Who may make faults: nobody, unless it is allowed.

use std::env;

use crosstie_core::{Endpoint, Error, Kind};

use super::faults::{Faults, Scope};

/// What allows `fault=` in the endpoints of this process, if it is 1.
const ALLOW: &str = "CROSSTIE_ALLOW_FAULTS";

/// The faults that an endpoint asks for, if it does and may.
pub(crate) fn permitted(endpoint: &Endpoint, scope: Scope) -> Result<Option<Faults>, Error> {
    let Some(spec) = &endpoint.options().fault else { return Ok(None) };
    let is_allowed = endpoint.allows_faults() || env::var_os(ALLOW).is_some_and(|value| value == "1");
    if !is_allowed {
        let text = format!(
            "'{endpoint}': faults are off: set {ALLOW}=1 for this process, or allow them in its code (`Endpoint::allow_faults`)"
        );
        return Err(Error::new(Kind::Denied, text));
    }
    let faults = Faults::of(spec.clone());
    let mut options = endpoint.options().clone();
    options.fault = None;
    faults.begin(scope, &endpoint.clone().with_options(options))?;
    Ok(Some(faults))
}
