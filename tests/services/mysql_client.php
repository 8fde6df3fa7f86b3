<?php
// Prepared statements through mysqli and PDO. Prints one line a statement, as mysql_client.py does.
[, $port, $name, $rounds] = $argv;
function timed(string $marker, callable $work): void {
    $start = (int) (microtime(true) * 1e6) * 1000;
    $work();
    echo "$marker $start ", (int) (microtime(true) * 1e6) * 1000 + 1000, " -\n";
}
$mysqli = new mysqli('127.0.0.1', 'root', '', 'shop', (int) $port);
$pdo = new PDO("mysql:host=127.0.0.1;port=$port;dbname=shop", 'root', '');
$pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
$mysqli->query('SELECT SLEEP(0.4)')->fetch_all();
$pdo->query('SELECT SLEEP(0.4)')->fetchAll();
for ($turn = 0; $turn < $rounds; $turn++) {
    $marker = "{$name}_mysqli_$turn";
    $statement = $mysqli->prepare("SELECT name AS $marker FROM items WHERE id = ?");
    $id = $turn;
    $statement->bind_param('i', $id);
    timed($marker, function () use ($statement) { $statement->execute(); $statement->get_result()->fetch_all(); });
    $statement->close();
    $marker = "{$name}_pdo_$turn";
    $prepared = $pdo->prepare("SELECT name AS $marker FROM items WHERE id > ?");
    timed($marker, function () use ($prepared) { $prepared->execute([3]); $prepared->fetchAll(); });
}
