-- Roles and database of a publication target: psql --file=deploy/postgresql.sql, as an administrator of the server.
-- Passwords come from the environment of psql 14 or later.
\set ON_ERROR_STOP on
\getenv publisher_password PUBLISHER_PASSWORD
\getenv reader_password READER_PASSWORD
create role hashpivot login password :'publisher_password';
create role hashpivot_reader;
create role analyst login password :'reader_password' in role hashpivot_reader;
-- Whoever leaves a transaction open keeps the version that was read, and the next one from taking its place.
alter role analyst set idle_in_transaction_session_timeout = '10min';
create database tables owner hashpivot;
