CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, card text NOT NULL);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), item text NOT NULL, state text NOT NULL);
CREATE TABLE notes (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers (id), body text NOT NULL);
INSERT INTO customers VALUES
	(1, 'Ada Lovelace', 'ada@lovelace.example', '4929 1234 5678 9013'),
	(2, 'Grace Hopper', 'grace@hopper.example', '5500 0055 5555 5559'),
	(3, 'Edsger Dijkstra', 'edsger@dijkstra.example', '3400 0000 0000 009');
INSERT INTO orders VALUES
	(1, 1, 'loom', 'shipped'), (2, 2, 'compiler', 'open'), (3, 2, 'compiler', 'duplicate'), (4, 3, 'semaphore', 'open');
INSERT INTO notes VALUES (1, 1, 'wants her invoice sent to ada@lovelace.example'), (2, 1, 'likes the new loom');
