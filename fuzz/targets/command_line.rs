//! nats-server's command line: one dash or two mean the same, and so do `=` and a word of its own.

#![no_main]

use crosstie_server::fuzzing::nats_command_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let words: Vec<&str> = text.split('\n').collect();
    let plain = nats_command_line(words.iter().copied());
    if let Err(why) = &plain {
        assert!(!why.is_empty());
    }
    // A value may begin with a dash as well, so only a single flag is told apart from its value.
    if let [word] = words[..]
        && let Some(name) = word.strip_prefix("--")
        && !name.starts_with('-')
    {
        let single = format!("-{name}");
        assert_eq!(nats_command_line([single.as_str()].into_iter()).is_ok(), plain.is_ok(), "{word:?}");
    }
    if let [flag, value] = words[..]
        && plain.is_ok()
        && !value.starts_with('-')
        && flag.starts_with('-')
        && !flag.contains('=')
    {
        let joined = format!("{flag}={value}");
        assert!(nats_command_line([joined.as_str()].into_iter()).is_ok(), "{joined:?}");
    }
});
