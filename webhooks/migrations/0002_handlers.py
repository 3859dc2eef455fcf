from django.db import migrations, models

from webhooks.apps import WebhooksConfig


class Migration(migrations.Migration):
    dependencies = [
        (WebhooksConfig.label, "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookevent",
            name="failed_handler",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The handler that raised the class of exception in `error_code`, at the last attempt.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="webhookevent",
            name="handled_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When the handlers of this project succeeded; empty without any.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("created", "Created"),
                    ("updated", "Updated"),
                    ("unchanged", "Unchanged"),
                    ("stale", "Stale"),
                    ("deleted", "Deleted"),
                    ("ignored", "Ignored"),
                    ("handled", "Handled"),
                    ("rejected", "Rejected"),
                    ("failed", "Failed"),
                ],
                max_length=10,
            ),
        ),
        # Not concurrently: no row has a failed handler yet, so the build is one look at each row.
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(
                condition=models.Q(("failed_handler__gt", "")),
                fields=["received_at"],
                name="webhook_event_failed_handler",
            ),
        ),
    ]
