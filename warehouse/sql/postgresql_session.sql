-- Texts are read as they were written, and a server notices a client that is gone.
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set application_name = 'hashpivot';
set client_min_messages = 'warning';
set tcp_keepalives_idle = 30;
set tcp_keepalives_interval = 10;
set tcp_keepalives_count = 3;
set idle_in_transaction_session_timeout = '5min';
