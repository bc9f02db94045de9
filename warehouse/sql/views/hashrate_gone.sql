-- How much hash rate is gone for good, and how much is only switched off? By day, low and high case.
select
    day, drawdown_total_ehs, drawdown_permanent_low_ehs, drawdown_permanent_high_ehs, drawdown_temporary_ehs,
    drawdown_economic_ehs, drawdown_weather_ehs, drawdown_residual_low_ehs, drawdown_residual_high_ehs,
    recovery_class, is_final
from main.security_daily;
