//! Code blocks and links of a page.

use std::path::Path;

/// A fenced code block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its language and what stands behind it: `console live`.
    pub(crate) info: String,
    /// The number of its first line in the page.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn language(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }

    /// The file that the block is, where its first line is a comment that begins with a path: `# first/pipeline.yaml`.
    pub(crate) fn path(&self) -> Option<&str> {
        let comment = self.text.lines().next()?;
        let words = comment.strip_prefix("// ").or_else(|| comment.strip_prefix("# "))?;
        let path = words.split([':', ' ']).next()?;
        Path::new(path).extension().is_some().then_some(path)
    }
}

/// All blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { info: info.trim().to_owned(), line: index + 2, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// The targets of all links `[text](target)` outside of code blocks, with their line numbers.
pub(crate) fn links(page: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_block = false;
    for (index, line) in page.lines().enumerate() {
        in_block ^= line.starts_with("```");
        if in_block {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some(target) = line[at + 2..].split(')').next() {
                links.push((index + 1, target.to_owned()));
            }
        }
    }
    links
}

/// The anchors of a page's headings, as they are made from their text.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
