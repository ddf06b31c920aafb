"""What Auto Scaling and CloudWatch's alarms do and moto does not: groups that are kept at their size, hooks that wait,
instance refresh, target tracking, alarms that are judged. It works on moto's own models, in the emulator's process.
"""
