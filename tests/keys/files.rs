//! Files of keys that other users may read, commands that print keys, and keys that the command makes.

use super::{command, ended, record, run};
use audit_runtime::evidence::SigningKey;
use audit_runtime::{KeySourceError, MasterKey, MasterKeyError};
use std::os::unix::fs::PermissionsExt;
use tests::{Database, secret_file};

fn set_mode(path: &str, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused_everywhere_with_the_remedy() {
    let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
    record(&database, 1).await;
    let path = directory.path();
    let signing = secret_file(path, "signing", super::key().secret());
    let next = secret_file(path, "next", super::key().secret());
    let master = secret_file(path, "master", MasterKey::generate().secret());
    let socket = path.join("page.sock").to_str().unwrap().to_owned();
    let (journals, pack) = (database.journals.path().to_str().unwrap(), path.join("pack"));
    for mode in [0o640, 0o604, 0o660] {
        [&signing, &next, &master].iter().for_each(|file| set_mode(file, mode));
        for (file, arguments) in [
            (&signing, &["checkpoint", "--key", &signing][..]),
            (&master, &["events", "--master-key", &master]),
            (&master, &["serve", "--socket", &socket, "--master-key", &master]),
            (&master, &["journal", "ship", journals, "--master-key", &master]),
            (&master, &["journal", "pack", journals, pack.to_str().unwrap(), "--master-key", &master]),
            (&master, &["master-key", "check", "--master-key", &master]),
            (&master, &["master-key", "rotate", "|echo x", "--master-key", &master]),
        ] {
            let (code, said) = run(&database, arguments);
            let remedy = format!("chmod 600 {file}");
            assert!(
                code == 2 && said.contains(&format!("mode {mode:04o}")) && said.contains(&remedy),
                "{arguments:?}: {said}"
            );
        }
        assert!(matches!(
            MasterKey::from_file(&master),
            Err(MasterKeyError::Source(KeySourceError::Shared { mode: found, .. })) if found == mode
        ));
        assert!(SigningKey::from_file(&signing).unwrap_err().to_string().contains("chmod 600"));
    }
    set_mode(&signing, 0o600);
    let (code, said) = run(&database, &["checkpoint", "--key", &signing, "--rotate", &next]);
    assert!(code == 2 && said.contains(&format!("chmod 600 {next}")), "{said}");
    assert_eq!(database.count("SELECT count(*) FROM audit_checkpoints").await, 0);
    // The remedy is one.
    [&next, &master].iter().for_each(|file| set_mode(file, 0o400));
    assert_eq!(run(&database, &["checkpoint", "--key", &signing, "--rotate", &next]).0, 0);
    assert_eq!(run(&database, &["events", "--master-key", &master]).0, 0);
}

#[tokio::test]
async fn keys_that_the_command_makes_are_new_files_for_their_owner() {
    let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (signing, master) = (at("signing"), at("master"));
    for (file, arguments) in
        [(&signing, &["checkpoint", "--new-key", "trail", "--key", &signing][..]), (&master, &["master-key", &master])]
    {
        assert_eq!(run(&database, arguments).0, 0);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let before = std::fs::read(file).unwrap();
        let (code, said) = run(&database, arguments);
        assert!(code == 1 && said.contains("never overwritten"), "{said}");
        assert_eq!(std::fs::read(file).unwrap(), before);
        // A link that somebody put there leads nowhere.
        std::fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), file).unwrap();
        assert_eq!(run(&database, arguments).0, 1);
    }
    assert!(!directory.path().join("elsewhere").exists());
    let (code, said) = run(&database, &["checkpoint", "--new-key", "trail", "--key", "|cat"]);
    assert!(code == 2 && said.contains("--new-key writes to a file"), "{said}");
}

#[tokio::test]
async fn the_failure_of_a_command_is_shown_with_what_it_said() {
    let database = Database::new().await;
    let fails = "|echo permission denied by the vault >&2; exit 7";
    let of_both = [
        &["checkpoint", "--key", fails][..],
        &["events", "--master-key", fails],
        &["master-key", "check", "--master-key", fails],
    ];
    for arguments in of_both {
        let (code, said) = run(&database, arguments);
        assert!(
            code == 2 && said.contains("exit status: 7") && said.contains("permission denied by the vault"),
            "{said}"
        );
    }
    // The same keys, from the environment.
    let mut by_variable = command(&database, &["checkpoint"]);
    by_variable.env("AUDIT_CHECKPOINT_KEY", super::key().secret());
    assert_eq!(ended(&by_variable.output().unwrap()).0, 0);
}
