-- Run once, when the database is made. The service's role owns its database and
-- is nothing else in the server.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/db-password`
CREATE ROLE photovault LOGIN PASSWORD :'password';
CREATE DATABASE photovault OWNER photovault TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE photovault FROM PUBLIC;
