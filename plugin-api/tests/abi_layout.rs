//! The layout.
