//! Endpoints: what is accepted prints as text that is accepted and means the same; an error points into the text.

#![no_main]

use crosstie_core::Endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            let shown = endpoint.to_string();
            let again: Endpoint = shown.parse().unwrap_or_else(|error| panic!("{text:?} shows as {shown:?}: {error}"));
            assert_eq!(again.to_string(), shown, "{text:?} does not settle");
            // A secret is shown as stars, so only without one does the text carry all of the endpoint.
            if !shown.contains("***") {
                assert!(again == endpoint, "{text:?} shows as {shown:?}, which means something else");
            }
        }
        Err(error) => {
            assert!(error.column() <= text.chars().count() + 1, "{text:?}: column {} is outside", error.column());
            assert!(!error.to_string().is_empty());
        }
    }
});
