//! The grammar by example, and the places of its errors.

use super::*;

fn read(text: &str) -> Result<Document, ConfigError> {
    parse("test.conf", text, None, &|name| (name == "FROM_ENV").then(|| "2mb".to_owned()))
}

fn get(text: &str, key: &str) -> Value {
    let document = read(text).unwrap();
    document.root.table().unwrap().get(key).unwrap().value.clone()
}

#[test]
fn a_key_and_its_value_are_parted_by_equals_colon_or_blank() {
    for text in ["port = 4222", "port: 4222", "port 4222", "port:4222", "port=4222,", "{\"port\": 4222}", "port\t4222;"]
    {
        assert_eq!(get(text, "port"), Value::Integer(4222), "{text}");
    }
}

#[test]
fn words_mean_what_they_look_like() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (word, value) in [
        ("1k", Value::Integer(1000)),
        ("1KB", Value::Integer(1024)),
        ("2KiB", Value::Integer(2048)),
        ("3mi", Value::Integer(3 << 20)),
        ("1GB", Value::Integer(1 << 30)),
        ("-1", Value::Integer(-1)),
        ("1.5", Value::Float(1.5)),
        ("on", Value::Bool(true)),
        ("No", Value::Bool(false)),
        ("2s", text("2s")),
        ("127.0.0.1", text("127.0.0.1")),
        ("nats://a:1", text("nats://a:1")),
        ("99999999999999999999", text("99999999999999999999")),
        ("foo.>", text("foo.>")),
        ("'a\\n'", text("a\\n")),
        ("\"a\\n\\x41\"", text("a\nA")),
        ("(\n  one\n  two\n)\n", text("  one\n  two")),
        ("$2a$11$abc", text("$2a$11$abc")),
        ("$FROM_ENV", Value::Integer(2 << 20)),
    ] {
        assert_eq!(get(&format!("key: {word}"), "key"), value, "{word}");
    }
}

#[test]
fn comments_and_commas_go_where_they_like() {
    let document = read("# one\n a: [1, 2 // two\n 3\n # three\n]\nb { c: d, e: f }; g h // end").unwrap();
    let root = document.root.table().unwrap();
    assert_eq!(root.get("a").unwrap().list().unwrap().len(), 3);
    assert_eq!(root.get("b").unwrap().table().unwrap().entries.len(), 2);
    assert_eq!(root.get("g").unwrap().text().unwrap(), "h");
}

#[test]
fn a_variable_is_the_nearest_earlier_key() {
    let text = "p: 1\nq: 2\ninner { p: 3\n use: [$p, $q] }";
    let document = read(text).unwrap();
    let inner = document.root.table().unwrap().get("inner").unwrap();
    let used = inner.table().unwrap().get("use").unwrap().list().unwrap();
    assert_eq!((used[0].integer().unwrap(), used[1].integer().unwrap()), (3, 2));
    assert!(document.variables.contains("q"));
}

#[test]
fn errors_name_line_and_column() {
    for (text, line, column, part) in [
        ("a: 1\nb: {\n  c: 2\n", 2, 5, "expected a '}'"),
        ("a: [1,\n2", 1, 4, "expected a ']'"),
        ("a: \"x", 1, 4, "expected a \" to end"),
        ("a: \"\\q\"", 1, 5, "expected one of"),
        ("a: 1\n]", 2, 1, "expected a key, found ']'"),
        ("a:", 1, 3, "expected a value, found the end"),
        ("é: $NOWHERE", 1, 4, "'$NOWHERE' is neither"),
        ("a (\nb", 1, 3, "expected a line with ')'"),
        ("{a: 1} b", 1, 8, "expected the end"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(line), Some(column)), "{text}: {error}");
        assert!(error.message().contains(part), "{text}: {error}");
    }
}

#[test]
fn nesting_has_a_limit() {
    let text = format!("a: {}", "[".repeat(MAX_DEPTH + 1));
    assert!(read(&text).unwrap_err().message().contains("levels"));
    let text = format!("a: {}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(read(&text).is_ok());
}

#[test]
fn an_environment_variable_that_names_itself_ends_with_an_error() {
    let result = parse("test.conf", "a: $LOOP", None, &|_| Some("$LOOP".to_owned()));
    assert!(result.unwrap_err().message().contains("levels"));
}

#[test]
fn includes_are_read_in_place_and_may_not_go_in_circles() {
    let folder = std::env::temp_dir().join(format!("crosstie-include-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("inner")).unwrap();
    std::fs::write(folder.join("main.conf"), "a: 1\ninclude ./inner/auth.conf\nport: $p").unwrap();
    std::fs::write(folder.join("inner/auth.conf"), "p: 7\ninclude 'more.conf'").unwrap();
    std::fs::write(folder.join("inner/more.conf"), "name: x").unwrap();
    std::fs::write(folder.join("circle.conf"), "include 'circle.conf'").unwrap();
    let document = parse_file(&folder.join("main.conf"), &|_| None).unwrap();
    let root = document.root.table().unwrap();
    assert_eq!(root.get("port").unwrap().integer().unwrap(), 7);
    assert_eq!(root.get("name").unwrap().text().unwrap(), "x");
    assert!(parse_file(&folder.join("circle.conf"), &|_| None).unwrap_err().message().contains("levels"));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Ten files, each of which includes the next `times` times; the first is read.
fn included(name: &str, times: usize) -> Result<Document, ConfigError> {
    let folder = std::env::temp_dir().join(format!("crosstie-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..10 {
        let line = format!("include '{}.conf'\n", number + 1);
        std::fs::write(folder.join(format!("{number}.conf")), line.repeat(times)).unwrap();
    }
    std::fs::write(folder.join("10.conf"), "a: 1").unwrap();
    let read = parse_file(&folder.join("0.conf"), &|_| None);
    std::fs::remove_dir_all(&folder).unwrap();
    read
}

#[test]
fn includes_that_multiply_end_with_an_error() {
    let error = included("bomb", 10).unwrap_err();
    assert!(error.message().contains("at most 256 included files") && error.line().is_some(), "{error}");
}

#[test]
fn control_as_many_files_in_a_row_are_read() {
    assert!(included("row", 1).is_ok());
}

#[test]
fn values_that_multiply_end_with_an_error() {
    let lists = |times: usize| {
        let mut text = String::from("v0: 1\n");
        for number in 1..12 {
            text += &format!("v{number}: [{}]\n", format!("$v{} ", number - 1).repeat(times));
        }
        text
    };
    assert!(read(&lists(10)).unwrap_err().message().contains("at most 16 MiB"));
    assert!(read(&lists(1)).is_ok());
    let long = format!("v: {}\nw: [{}]", "x".repeat(1024 * 1024), "$v ".repeat(100));
    assert!(read(&long).unwrap_err().message().contains("at most 16 MiB"));
    let from_outside = parse("test.conf", "a: $A", None, &|name| match name {
        "A" => Some("[$B $B $B $B]".to_owned()),
        _ => Some("x".repeat(5 * 1024 * 1024)),
    });
    assert!(from_outside.unwrap_err().message().contains("at most 16 MiB"));
}
