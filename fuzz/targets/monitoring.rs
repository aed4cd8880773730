//! What is asked of the monitoring pages: every query is answered with JSON that keeps to its limits, or refused with a sentence.

#![no_main]

use crosstie_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    for (page, list) in [("/connz", "connections"), ("/subsz", "subscriptions_list")] {
        match fuzzing::monitoring(page, query) {
            Ok(json) => {
                let page: serde_json::Value =
                    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert!(page["limit"].as_u64().is_some_and(|limit| limit > 0), "{json}");
                assert!(page.get(list).is_none_or(|rows| rows.as_array().is_some_and(Vec::is_empty)), "{json}");
            }
            Err(why) => assert!(!why.is_empty(), "{query:?}"),
        }
    }
});
