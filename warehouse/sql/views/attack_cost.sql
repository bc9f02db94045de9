-- What does an attack cost? By day: machines, energy, and what owners of half of the machines would give up.
select
    day, attack_hashrate_ehs, attack_hardware_usd, attack_energy_usd_per_hour, attack_forgone_usd_per_hour,
    attack_hardware_spared_usd_per_mw, machine_price_age_days, is_final
from main.security_daily;
