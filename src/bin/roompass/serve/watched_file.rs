//! Detects that a file has a new text, by looking at it again and again.

use std::path::{Path, PathBuf};

use roompass::config::read_policy;

/// A file, and the text that was loaded.
pub(super) struct WatchedFile {
    path: PathBuf,
    /// The text that was loaded last.
    known: Option<String>,
    /// The text at the last look.
    last: Option<String>,
}

impl WatchedFile {
    /// Remembers the file's current text. To miss no change, call it before the file is loaded.
    pub(super) fn new(path: &Path) -> Self {
        let known = read_policy(path).ok();
        Self { path: path.to_owned(), last: known.clone(), known }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has a new text since it was loaded. A file that is just being written has another text at the next
    /// look, and then counts as not changed yet.
    pub(super) fn has_changed(&mut self) -> bool {
        let text = read_policy(&self.path).ok();
        let is_complete = text == self.last;
        self.last = text;
        let has_changed = is_complete && self.last != self.known;
        if has_changed {
            self.known.clone_from(&self.last);
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_new_text_counts_once_and_only_if_two_looks_find_the_same() {
        let path = std::env::temp_dir().join(format!("roompass-watched-{}", std::process::id()));
        fs::write(&path, "one").unwrap();
        let mut file = WatchedFile::new(&path);
        assert!(!file.has_changed() && !file.has_changed());
        fs::write(&path, "tw").unwrap();
        assert!(!file.has_changed());
        fs::write(&path, "two").unwrap();
        assert!(!file.has_changed(), "it is being written");
        assert!(file.has_changed());
        assert!(!file.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(!file.has_changed());
        assert!(file.has_changed(), "a file that is gone is a change");
        assert!(!file.has_changed());
    }
}
