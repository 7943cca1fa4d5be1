//! The pure part of Cardcage.
