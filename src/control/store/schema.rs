//! Migrations: each once, in order, in the transaction that opens the store.

use super::StoreError;
use super::connection::Connection;

/// Never edit one that was released; add the next.
const MIGRATIONS: [&str; 6] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
];

/// Brings the database to the newest schema.
pub(super) async fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)", &[]).await?;
    let row = connection.first("SELECT COALESCE(MAX(version), 0) FROM migrations", &[]).await?;
    let found = row.ok_or(StoreError::Column("a version"))?.count()?;
    let known = MIGRATIONS.len() as u64;
    if found > known {
        return Err(StoreError::Schema { found, known });
    }
    for (script, version) in MIGRATIONS.iter().zip(1_u64..).filter(|(_, version)| *version > found) {
        connection.script(script).await?;
        connection.execute("INSERT INTO migrations (version) VALUES ($1)", &[version.into()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::store::connection::Database;

    #[tokio::test]
    async fn attachments_of_an_older_store_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        std::fs::File::create(&path).unwrap();
        let database = Database::open(&path).await.unwrap();
        let (mut connection, turn) = database.write().await.unwrap();
        connection.execute("CREATE TABLE migrations (version BIGINT PRIMARY KEY)", &[]).await.unwrap();
        for (script, version) in MIGRATIONS.iter().zip(1_u64..=3) {
            connection.script(script).await.unwrap();
            connection.execute("INSERT INTO migrations (version) VALUES ($1)", &[version.into()]).await.unwrap();
        }
        connection
            .script(
                "INSERT INTO accounts VALUES ('a', 'n', 0, 1, 1, 1, 's', 1, 's');
                 INSERT INTO user_groups VALUES ('g', 'a', 'n', NULL, 'USER_DEFINED', 1, 1, 's', 1, 's');
                 INSERT INTO policies VALUES ('p', 'a', 'n', NULL, 'USER_DEFINED', 'IDENTITY_BASED', 'v', 'ACTIVE', 1, 1, 's', 1, 's');
                 INSERT INTO users (id, account_id, user_name, root, active, email_authenticated, phone_authenticated, password_temporary,
                     password_reuse_count, revision, created_at, created_by, modified_at, modified_by)
                     VALUES ('u', 'a', 'n', 0, 1, 0, 0, 0, 1, 1, 1, 's', 1, 's');
                 INSERT INTO attachments VALUES ('p', 'u', NULL, NULL, 7, 's');
                 INSERT INTO attachments VALUES ('p', NULL, 'g', 'project', 8, 's');",
            )
            .await
            .unwrap();
        connection.commit().await.unwrap();
        drop(turn);

        for _ in 0..2 {
            let (mut connection, turn) = database.write().await.unwrap();
            migrate(&mut connection).await.unwrap();
            let sql = "SELECT policy_id, user_id, group_id, role_id, scope, created_at FROM attachments ORDER BY created_at";
            let mut found = Vec::new();
            for mut row in connection.query(sql, &[]).await.unwrap() {
                assert_eq!(row.text().unwrap(), "p");
                let held = [0; 4].map(|_| row.optional_text().unwrap().unwrap_or_default());
                found.push((held, row.integer().unwrap()));
            }
            let texts = |texts: [&str; 4]| texts.map(str::to_owned);
            assert_eq!(found, [(texts(["u", "", "", ""]), 7), (texts(["", "g", "", "project"]), 8)]);
            connection.commit().await.unwrap();
            drop(turn);
        }
        let (mut connection, _turn) = database.write().await.unwrap();
        for (user, role) in [("'u'", "'r'"), ("NULL", "NULL"), ("'u'", "NULL")] {
            let sql = format!("INSERT INTO attachments VALUES ('p', {user}, NULL, {role}, NULL, 9, 's')");
            connection.script(Box::leak(sql.into_boxed_str())).await.unwrap_err();
        }
    }
}
