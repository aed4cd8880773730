//! Schemas: whatever is one is written in the one way to write it, can be read by itself, and is compared within bounds.

#![no_main]

use crosstie_core::schema::{SchemaText, can_read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| {
    let (Ok(writer), Ok(reader)) = (texts.0.parse::<SchemaText>(), texts.1.parse::<SchemaText>()) else {
        for text in [texts.0, texts.1] {
            check_one(text);
        }
        return;
    };
    for (writer, reader) in [(&writer, &reader), (&reader, &writer)] {
        if let Err(differences) = can_read(writer, reader) {
            assert!(!differences.is_empty() && differences.len() <= 64);
            assert!(differences.iter().all(|difference| !difference.to_string().contains('\n')));
            assert_ne!(writer.hash(), reader.hash());
        }
    }
    check_one(texts.0);
    check_one(texts.1);
});

fn check_one(text: &str) {
    match text.parse::<SchemaText>() {
        Ok(schema) => {
            assert_eq!(schema.as_str(), text, "there is one way to write it");
            assert_eq!(schema.to_string().parse::<SchemaText>().as_ref(), Ok(&schema));
            assert_eq!(schema.hash().to_string().parse(), Ok(schema.hash()));
            assert_eq!(can_read(&schema, &schema), Ok(()));
        }
        Err(error) => assert!(error.to_string().len() < 1024, "{error}"),
    }
}
