//! The code blocks of a Markdown page that show commands.

/// A fenced block of commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// ```` ```sh ````: each line a command.
    Script(Vec<String>),
    /// ```` ```console ````: commands after a `$`, and what is printed between them.
    Console(Vec<Line>),
}

/// A line of a console.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A command.
    Command(String),
    /// What is printed. `…` stands for anything, and alone on a line for any number of lines.
    Output(String),
}

impl Line {
    /// True for what a session of `crosstie` commands is made of.
    pub(super) fn is_of_a_session(&self) -> bool {
        match self {
            Self::Command(text) => text.starts_with("crosstie "),
            Self::Output(_) => true,
        }
    }
}

/// Every block of commands in `text`, in order. A comment after two blanks and a `#` is left out.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut inside: Option<Block> = None;
    for line in text.lines() {
        let line = line.trim();
        match (&mut inside, line) {
            (None, "```sh") => inside = Some(Block::Script(Vec::new())),
            (None, "```console") => inside = Some(Block::Console(Vec::new())),
            (_, "```") => found.extend(inside.take()),
            (None, _) | (_, "") => {}
            (Some(Block::Script(commands)), _) => commands.push(without_comment(line).to_owned()),
            (Some(Block::Console(lines)), _) => lines.push(match line.strip_prefix("$ ") {
                Some(command) => Line::Command(without_comment(command).to_owned()),
                None => Line::Output(line.to_owned()),
            }),
        }
    }
    found
}

fn without_comment(line: &str) -> &str {
    line.split("  #").next().unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_by_their_fences() {
        let text = "```rust\nno\n```\n```console\n$ crosstie a   # why\nout\n$ b\n```\n```sh\none  # said why\n\ntwo # three\n```\n`four`";
        let command = |text: &str| Line::Command(text.into());
        let console = vec![command("crosstie a"), Line::Output("out".into()), command("b")];
        assert!(console[0].is_of_a_session() && !console[2].is_of_a_session());
        assert_eq!(blocks(text), [Block::Console(console), Block::Script(vec!["one".into(), "two # three".into()])]);
    }
}
