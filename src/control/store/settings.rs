//! SQL of settings: key security of users, console access of users and accounts.
